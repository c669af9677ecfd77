/** `/healthz/ready`, which the kubelet asks. */
import type { Readiness } from './readiness.ts';
import { answer, serveHttp, type EndpointOptions, type RunningEndpoint } from './http-server.ts';

export function serveReadiness(options: EndpointOptions & { readonly readiness: Readiness }): Promise<RunningEndpoint> {
  return serveHttp(options, ({ response, url }) => {
    if (url.pathname !== '/healthz/ready') return answer(response, 404, 'not found\n');
    const { pending } = options.readiness;
    if (pending.length === 0) answer(response, 200, 'ready\n');
    else answer(response, 500, `not ready, pending: ${pending.join(', ')}\n`);
  });
}
