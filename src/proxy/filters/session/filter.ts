/**
 * Session persistence: requests of one client go to one endpoint, by a cookie or a header that the first answer gives it. What the
 * client brings is a wish: it holds among the backends of the rule and their healthy endpoints alone.
 */
import type { SessionPersistence } from '../../../api/l7/index.ts';
import type { HttpFilter, FilterKind } from '../../engine/filter.ts';
import type { HttpRun } from '../../engine/http-run.ts';
import { formatToken, tryParseToken, type SessionToken } from './token.ts';

/** Under which a run keeps the session that its request came with. */
const stateKey = {};

export const sessionFilter: FilterKind = {
  name: 'session',
  reads: [],
  build({ services: { clock } }): HttpFilter {
    return {
      name: 'session',
      onRequest(run) {
        const session = run.route?.sessionPersistence;
        if (!session) return undefined;
        const token = tryParseToken(given(run, session) ?? '');
        const { absoluteTimeoutMs = Infinity } = session;
        if (!token || clock.nowMs() - token.sinceMs >= absoluteTimeoutMs) return undefined;
        run.state.set(stateKey, token);
        run.preferredBackend = token.backend;
        run.preferredHost = token.host;
        return undefined;
      },
      onResponse(run, head) {
        const session = run.route?.sessionPersistence;
        const host = run.host?.workload?.uid;
        const { backend } = run;
        if (!session || host === undefined || backend === undefined || run.failure) return;
        const known = run.state.get(stateKey) as SessionToken | undefined;
        if (known?.host === host && known.backend === backend) return;
        const value = formatToken({ backend, host, sinceMs: clock.nowMs() });
        if (session.type === 'header') head.headers.set(session.name.toLowerCase(), value);
        else head.headers.add('set-cookie', cookieOf(session, value, run.connection.isTls));
      },
    };
  },
};

function given({ request: { headers } }: HttpRun, { type, name }: SessionPersistence): string | undefined {
  if (type === 'header') return headers.get(name.toLowerCase());
  const start = `${name}=`;
  for (const field of headers.getAll('cookie')) {
    for (const pair of field.split(';')) {
      const trimmed = pair.trim();
      if (trimmed.startsWith(start)) return trimmed.slice(start.length);
    }
  }
  return undefined;
}

function cookieOf(
  { name, path = '/', lifetime, absoluteTimeoutMs }: SessionPersistence,
  value: string,
  isTls: boolean,
): string {
  return [
    `${name}=${value}`,
    `Path=${path}`,
    ...(lifetime === 'permanent' && absoluteTimeoutMs !== undefined
      ? [`Max-Age=${Math.floor(absoluteTimeoutMs / 1000)}`]
      : []),
    'HttpOnly',
    ...(isTls ? ['Secure'] : []),
  ].join('; ');
}
