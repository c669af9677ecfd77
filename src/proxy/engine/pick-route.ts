/** The rule for a request, by what is known of it now. */
import type { CompiledRoutes, PickedRule } from '../../decision/routes/index.ts';
import { spiffeParts, tryParseSpiffeId } from '../../identity/index.ts';
import type { HttpRun } from './http-run.ts';

/** Undefined: none takes it. */
export function pickRoute(routes: CompiledRoutes, { request, connection, token }: HttpRun): PickedRule | undefined {
  const { sourceIdentity } = connection;
  return routes.pick({
    method: request.method,
    scheme: request.scheme,
    authority: request.authority,
    path: request.path,
    headers: request.headers,
    port: connection.destinationPort,
    sourceNamespace:
      sourceIdentity !== undefined && tryParseSpiffeId(sourceIdentity)
        ? spiffeParts(sourceIdentity).namespace
        : undefined,
    claims: token?.claims,
  });
}
