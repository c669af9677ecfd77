/** Why an attempt failed, as the engine and the access log speak of it. */
import { codeOf, messageOf } from '../../lib/errors.ts';
import { ExchangeError, type ExchangeFailure } from '../../http/message.ts';
import type { UpstreamFailure, UpstreamHost } from './upstream.ts';

type FailureKind = UpstreamFailure['kind'];

/** Envoy's response flags. */
const flags: Readonly<Record<FailureKind, string>> = {
  'no-backend': 'NC',
  'no-healthy-host': 'UH',
  overflow: 'UO',
  'name-not-resolved': 'DF',
  'connect-failure': 'UF',
  'connect-timeout': 'UF',
  'connection-termination': 'UC',
  'remote-reset': 'UR',
  refused: 'UR',
  'protocol-error': 'UPE',
  'local-reset': '',
};

export function upstreamFailure(
  kind: FailureKind,
  message: string,
  sent: 'no' | 'maybe' = 'no',
  host?: UpstreamHost,
): UpstreamFailure {
  return { kind, flag: flags[kind], message, sent, ...(host ? { host } : {}) };
}

/** What a codec said of an exchange that it ended. Without an error it ended before its answer was whole. */
export function exchangeFailure(error: Error | undefined, host: UpstreamHost): UpstreamFailure {
  const where = `${host.address}:${host.port}`;
  if (!(error instanceof ExchangeError)) {
    const what = error ? messageOf(error) : 'the connection ended before the answer was whole';
    return upstreamFailure('connection-termination', `${where}: ${what}`, 'maybe', host);
  }
  const kind: ExchangeFailure & FailureKind = error.reason;
  return upstreamFailure(kind, `${where}: ${error.message}`, error.sent, host);
}

/** Why there was no connection. */
export function connectFailure(error: unknown, host: UpstreamHost): UpstreamFailure {
  return upstreamFailure(connectFailureKind(error), messageOf(error), 'no', host);
}

function connectFailureKind(error: unknown): FailureKind {
  if (hasCode(error, timeoutCodes)) return 'connect-timeout';
  return requestedHostFailures.get(codeOf(error) ?? '') ?? 'connect-failure';
}

/** Another attempt would change none of them. */
const requestedHostFailures: ReadonlyMap<string, FailureKind> = new Map([
  ['upstream.name-not-resolved', 'name-not-resolved'],
  ['upstream.address-refused', 'no-healthy-host'],
]);

const timeoutCodes = new Set(['net.connect-timeout', 'hbone.dial-timeout', 'identity.timeout', 'upstream.timeout']);

function hasCode(error: unknown, codes: ReadonlySet<string>): boolean {
  for (let current = error; current instanceof Error; current = current.cause)
    if (codes.has(codeOf(current) ?? '')) return true;
  return false;
}
