/** How a rule and its destination change what passes: the head of the request on its way there, that of the answer on its way back. */
import type { WeightedDestination } from '../../api/l7/index.ts';
import { rewritePath, type PickedRule } from '../../decision/routes/index.ts';
import type { ResponseHead } from '../../http/message.ts';
import { changeRequestHeaders, changeResponseHeaders } from './header-changes.ts';
import type { HttpRun } from './http-run.ts';
import { reasonHeader } from './local-reply.ts';

/** Changes the run's request into the one that is sent. */
export function changeRequest(run: HttpRun, { rule, match }: PickedRule, destination: WeightedDestination): void {
  const { request } = run;
  if (destination.requestHeaders) changeRequestHeaders(request, destination.requestHeaders, run);
  if (rule.requestHeaders) changeRequestHeaders(request, rule.requestHeaders, run);
  const rewrite = destination.rewrite ?? (rule.action.kind === 'forward' ? rule.action.rewrite : undefined);
  if (rewrite?.authority !== undefined) request.authority = rewrite.authority;
  if (!rewrite?.path) return;
  const path = rewritePath(request.path, rewrite.path, match);
  if (path !== request.path) request.headers.set('x-envoy-original-path', request.path);
  request.path = path;
}

/** Changes the head of a backend's answer into the one that filters see. */
export function changeAnswer(run: HttpRun, { headers }: ResponseHead, tellsReason: boolean): void {
  const { destination, route, times } = run;
  headers.set('server', 'istio-envoy');
  // What a waypoint behind us tells callers in the mesh is not for strangers.
  if (!tellsReason) headers.remove(reasonHeader);
  const elapsed = Math.round(times.firstResponseByte - times.upstreamStart);
  headers.set('x-envoy-upstream-service-time', String(Math.max(0, elapsed)));
  if (destination?.responseHeaders) changeResponseHeaders(headers, destination.responseHeaders, run);
  if (route?.responseHeaders) changeResponseHeaders(headers, route.responseHeaders, run);
}
