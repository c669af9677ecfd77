/** How a failed call to the Kubernetes API reads: one error type, its code drawn from the server's Status. */
import type { KubeStatus } from '../api/index.ts';
import { AmbitError, codeOf, messageOf, type Blame } from '../lib/errors.ts';

/** A refusal by the API server, or no answer at all (`kube.unreachable`, status 0). */
export class KubeError extends AmbitError {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** The server's own Status, when it sent one. */
  readonly kubeStatus: KubeStatus | undefined;
  /** How long the server asks to wait before another try. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options: KubeErrorOptions) {
    super(message, options);
    this.name = 'KubeError';
    this.status = options.status;
    this.kubeStatus = options.kubeStatus;
    this.retryAfterMs = options.retryAfterMs;
  }
}

interface KubeErrorOptions {
  readonly code: string;
  readonly blame: Blame;
  readonly status: number;
  readonly kubeStatus?: KubeStatus | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** Whether `thrown` is a KubeError with this code: `isKubeError(error, 'kube.not-found')`. */
export function isKubeError(thrown: unknown, code?: string): thrown is KubeError {
  return thrown instanceof KubeError && (code === undefined || thrown.code === code);
}

/**
 * The error of a response with status 400 or above. `action` is what was tried: `Cannot get pod "a/b"`; `retryAfter` is the
 * header of that name.
 */
export function refusalError(action: string, status: number, body: string, retryAfter?: string | string[]): KubeError {
  return statusError(action, status, tryParseStatus(body), body, retryAfterMsOf(retryAfter));
}

/** The error of a Status that came inside an answer: a watch's ERROR event. */
export function errorOfStatus(action: string, kubeStatus: KubeStatus): KubeError {
  return statusError(action, kubeStatus.code ?? 500, kubeStatus, '', undefined);
}

/** Seconds or a date (RFC 9110, 10.2.3), in milliseconds from now; undefined when there is none to read. */
export function retryAfterMsOf(header: string | string[] | undefined, nowMs: number = Date.now()): number | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text.trim())) return Number(text) * 1000;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs);
}

function statusError(
  action: string,
  status: number,
  kubeStatus: KubeStatus | undefined,
  body: string,
  retryAfterMs: number | undefined,
): KubeError {
  const reason = kubeStatus?.reason ?? reasonsByHttpStatus[status] ?? 'UnexpectedStatus';
  const detail = kubeStatus?.message ?? (body.trim().slice(0, 200) || reason);
  return new KubeError(`${action}: ${detail} (HTTP ${status})`, {
    code: `kube.${kebabCase(reason)}`,
    blame: status >= 500 ? 'upstream' : 'downstream',
    status,
    kubeStatus,
    retryAfterMs: retryAfterMs ?? secondsToMs(kubeStatus?.details?.retryAfterSeconds),
  });
}

function secondsToMs(seconds: number | undefined): number | undefined {
  return seconds === undefined || seconds <= 0 ? undefined : seconds * 1000;
}

/** The error of a call that found nobody at `server`. */
export function unreachableError(server: string, cause: unknown): KubeError {
  return new KubeError(`Cannot reach the API server at ${server}: ${describeCause(cause)}`, {
    code: 'kube.unreachable',
    blame: 'upstream',
    status: 0,
    cause,
  });
}

function describeCause(cause: unknown): string {
  // Happy-eyeballs failures carry their reasons inside.
  if (cause instanceof AggregateError && cause.errors.length > 0) return cause.errors.map(describeCause).join(', ');
  const text = messageOf(cause);
  const code = codeOf(cause);
  return code === undefined || text.includes(code) ? text : `${text} (${code})`;
}

function tryParseStatus(body: string): KubeStatus | undefined {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'Status') {
      return value as KubeStatus;
    }
  } catch {
    // Proxies and load balancers answer in HTML or plain text.
  }
  return undefined;
}

const reasonsByHttpStatus: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  409: 'Conflict',
  410: 'Gone',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

function kebabCase(reason: string): string {
  return reason.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase();
}
