/** What a route of a VirtualService does besides leading somewhere: faults, CORS, header changes (ambient-l7, 2.1). Pure. */
import { grpcStatusNames } from '../../api/grpc-status.ts';
import { unknownHeaderCommands } from '../../api/l7/header-commands.ts';
import type { CorsPolicy, FaultInjection, HeaderChanges, TextMatch } from '../../api/l7/index.ts';
import { milliseconds } from './durations.ts';
import type { RuleProblems } from './rule-problems.ts';
import { textMatch } from './virtual-service-match.ts';
import type { VsHeaders, VsHttp } from './virtual-service-types.ts';

/** Without a percentage, a fault never happens. */
export function faultInjection(
  fault: NonNullable<VsHttp['fault']>,
  path: string,
  problems: RuleProblems,
): FaultInjection | undefined {
  const { delay, abort } = fault;
  const delayMs = milliseconds(delay?.fixedDelay);
  if (delay?.exponentialDelay !== undefined)
    problems.fault(`${path}.delay.exponentialDelay`, 'UnsupportedValue', 'use fixedDelay: nothing is delayed');
  if (abort?.http2Error !== undefined)
    problems.fault(`${path}.abort.http2Error`, 'UnsupportedValue', 'use httpStatus or grpcStatus: nothing is aborted');
  if (delay && delay.percentage === undefined && delay.percent === undefined)
    problems.note(`${path}.delay`, 'without a percentage it never happens');
  if (abort && abort.percentage === undefined) problems.note(`${path}.abort`, 'without a percentage it never happens');
  const grpcStatus =
    abort?.grpcStatus === undefined ? undefined : grpcStatusNames.indexOf(abort.grpcStatus.toUpperCase());
  if (grpcStatus === -1)
    problems.fault(`${path}.abort.grpcStatus`, 'Invalid', `${abort?.grpcStatus} is no status of gRPC`);
  const hasAbort = abort && (abort.httpStatus !== undefined || (grpcStatus !== undefined && grpcStatus >= 0));
  if (delayMs === undefined && !hasAbort) return undefined;
  return {
    ...(delayMs === undefined
      ? {}
      : { delay: { ms: delayMs, percent: delay?.percentage?.value ?? delay?.percent ?? 0 } }),
    ...(hasAbort
      ? {
          abort: {
            percent: abort.percentage?.value ?? 0,
            ...(abort.httpStatus === undefined ? {} : { httpStatus: abort.httpStatus }),
            ...(grpcStatus !== undefined && grpcStatus >= 0 ? { grpcStatus } : {}),
          },
        }
      : {}),
  };
}

export function corsPolicy(cors: NonNullable<VsHttp['corsPolicy']>): CorsPolicy {
  const maxAgeMs = milliseconds(cors.maxAge);
  const older = (cors.allowOrigin ?? []).map((origin) => ({ exact: origin }));
  return {
    allowOrigins: (cors.allowOrigins ?? older).map(originMatch),
    allowMethods: cors.allowMethods ?? [],
    allowHeaders: cors.allowHeaders ?? [],
    exposeHeaders: cors.exposeHeaders ?? [],
    ...(maxAgeMs === undefined ? {} : { maxAgeSeconds: Math.floor(maxAgeMs / 1000) }),
    allowCredentials: cors.allowCredentials ?? false,
    unmatchedPreflights: cors.unmatchedPreflights === 'IGNORE' ? 'ignore' : 'forward',
  };
}

/** @throws AmbitError `policy.bad-regex`. */
function originMatch(origin: Parameters<typeof textMatch>[0]): TextMatch {
  const match = textMatch(origin) ?? { kind: 'present' };
  return match.kind === 'exact' && match.value === '*' ? { kind: 'present' } : match;
}

/** Sorted by name. `host` among what a request sets is the authority that it goes on with. */
export function headerChanges(changes: VsHeaders['request']): HeaderChanges | undefined {
  if (!changes) return undefined;
  const sorted = (fields: Readonly<Record<string, string>> = {}): [string, string][] =>
    Object.entries(fields)
      .map(([name, value]): [string, string] => [name.toLowerCase(), value])
      .toSorted(([a], [b]) => (a < b ? -1 : 1));
  // The authority cannot be taken away, nor any pseudo header.
  const remove = (changes.remove ?? [])
    .map((name) => name.toLowerCase())
    .filter((name) => name !== 'host' && !name.startsWith(':'));
  const found = { set: sorted(changes.set), add: sorted(changes.add), remove };
  return found.set.length + found.add.length + found.remove.length > 0 ? found : undefined;
}

export function withHeaders(
  headers: VsHeaders | undefined,
  path: string,
  problems: RuleProblems,
): { readonly requestHeaders?: HeaderChanges; readonly responseHeaders?: HeaderChanges } {
  for (const side of ['request', 'response'] as const) {
    for (const change of ['set', 'add'] as const) {
      for (const [name, value] of Object.entries(headers?.[side]?.[change] ?? {})) {
        const unknown = unknownHeaderCommands(value);
        if (unknown.length === 0) continue;
        const message = `${unknown.join(' and ')} stays as it is: it is no command that waypoints know`;
        problems.fault(`${path}.${side}.${change}[${name}]`, 'UnsupportedValue', message);
      }
    }
  }
  const request = headerChanges(headers?.request);
  const response = headerChanges(headers?.response);
  return { ...(request ? { requestHeaders: request } : {}), ...(response ? { responseHeaders: response } : {}) };
}
