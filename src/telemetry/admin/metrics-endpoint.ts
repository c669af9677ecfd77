/** `/metrics` for Prometheus: format and compression as it asks. */
import type { ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';
import { createGzip, createZstdCompress } from 'node:zlib';
import { expositionContentType, negotiateFormat, writeSnapshot } from '../exposition.ts';
import type { MetricsSnapshot } from '../snapshot.ts';
import { answer, serveHttp, writePieces, type EndpointOptions, type RunningEndpoint } from './http-server.ts';

export function serveMetrics(
  options: EndpointOptions & { readonly snapshot: () => Promise<MetricsSnapshot> },
): Promise<RunningEndpoint> {
  return serveHttp(options, async ({ request, response, url }) => {
    if (url.pathname !== '/metrics' && url.pathname !== '/stats/prometheus')
      return answer(response, 404, 'not found\n');
    const format = negotiateFormat(request.headers.accept);
    const encoding = negotiateEncoding(request.headers['accept-encoding']);
    const snapshot = await options.snapshot();
    response.writeHead(200, {
      'content-type': expositionContentType[format],
      vary: 'accept, accept-encoding',
      ...(encoding === 'identity' ? {} : { 'content-encoding': encoding }),
    });
    await writePieces(writeSnapshot(snapshot, format), compressed(encoding, response));
  });
}

type Encoding = 'gzip' | 'zstd' | 'identity';

/** Of what an `Accept-Encoding` header allows what is best for both sides (RFC 9110 section 12.5.3). */
export function negotiateEncoding(accept: string | undefined): Encoding {
  const allowed = new Set<string>();
  for (const entry of (accept ?? '').split(',')) {
    const [name = '', ...parameters] = entry.split(';').map((part) => part.trim().toLowerCase());
    if (!parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter))) allowed.add(name);
  }
  if (allowed.has('zstd')) return 'zstd';
  return allowed.has('gzip') ? 'gzip' : 'identity';
}

/** Off the loop: zlib has threads of its own. */
function compressed(encoding: Encoding, response: ServerResponse): Writable {
  if (encoding === 'identity') return response;
  const stream = encoding === 'gzip' ? createGzip({ level: 3 }) : createZstdCompress();
  stream.on('error', () => response.destroy());
  response.on('close', () => stream.destroy());
  stream.pipe(response);
  return stream;
}
