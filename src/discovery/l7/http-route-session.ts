/** Session persistence of routes (GEP-1619) in the terms of the model. Pure. */
import { createHash } from 'node:crypto';
import type { HTTPRoute } from '../../api/gateway.ts';
import type { PathMatch, SessionPersistence } from '../../api/l7/index.ts';
import { durationMs } from './gateway-api-duration.ts';

export type RouteSession = NonNullable<NonNullable<HTTPRoute['spec']['rules']>[number]['sessionPersistence']>;

/** `path`: what the requests of the rule have in common; absent: nothing. */
export function sessionPersistence(
  session: RouteSession,
  ruleName: string,
  path: PathMatch | undefined,
): SessionPersistence {
  const { type = 'Cookie', sessionName, absoluteTimeout, cookieConfig } = session;
  const absoluteTimeoutMs = durationMs(absoluteTimeout) ?? 0;
  const isCookie = type === 'Cookie';
  const cookiePath = path && path.kind !== 'regex' ? path.value : '/';
  return {
    type: isCookie ? 'cookie' : 'header',
    name: sessionName ?? ownName(isCookie, ruleName),
    ...(isCookie && cookiePath !== '/' ? { path: cookiePath } : {}),
    ...(absoluteTimeoutMs > 0 ? { absoluteTimeoutMs } : {}),
    lifetime: isCookie && cookieConfig?.lifetimeType === 'Permanent' ? 'permanent' : 'session',
  };
}

/** Rules that chose no name do not share sessions. */
function ownName(isCookie: boolean, ruleName: string): string {
  const mark = createHash('sha256').update(ruleName).digest('hex').slice(0, 8);
  return isCookie ? `ambit-session-${mark}` : `x-ambit-session-${mark}`;
}
