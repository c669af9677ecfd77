/** Refusals of the API server: a `metav1.Status` with its HTTP code, worded as Kubernetes words it. */
import type { KubeStatus } from '../../api/index.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';

export type StatusCause = { reason?: string; message?: string; field?: string };

/** What a refusal is about: the REST resource ("deployments") and its group. */
export interface ResourceName {
  readonly group: string;
  readonly plural: string;
}

export interface StatusErrorOptions {
  readonly code: number;
  /** "" for none. */
  readonly reason: string;
  readonly message: string;
  readonly details?: KubeStatus['details'];
  readonly metadata?: { readonly continue: string };
}

/** Thrown anywhere in request handling; becomes the response. Code `apiserver.<reason in kebab case>`. */
export class StatusError extends AmbitError {
  readonly status: KubeStatus;

  constructor(options: StatusErrorOptions) {
    super(options.message, {
      code: `apiserver.${options.reason.replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => `-${letter}`).toLowerCase()}`,
      blame: options.code >= 500 ? 'internal' : 'downstream',
    });
    this.name = 'StatusError';
    this.status = failure(options);
  }
}

/** The response to anything thrown: its own Status, or 500 with the message and nothing else. */
export function statusOf(thrown: unknown): KubeStatus {
  if (thrown instanceof StatusError) return thrown.status;
  // The stack ends where a client nests without end.
  if (thrown instanceof RangeError && thrown.message.includes('call stack')) {
    return badRequest('the object provided is nested too deeply').status;
  }
  return failure({ code: 500, reason: 'InternalError', message: `Internal error occurred: ${messageOf(thrown)}` });
}

export function badRequest(message: string): StatusError {
  return new StatusError({ code: 400, reason: 'BadRequest', message });
}

export function unauthorized(): StatusError {
  return new StatusError({ code: 401, reason: 'Unauthorized', message: 'Unauthorized' });
}

/** 403. `resource` undefined: a path that is no resource. */
export function forbidden(
  resource: ResourceName | undefined,
  name: string,
  why: string,
  causes?: StatusCause[],
): StatusError {
  const subject =
    resource === undefined ? 'forbidden' : `${qualified(resource)}${name === '' ? '' : ` ${quote(name)}`} is forbidden`;
  return new StatusError({
    code: 403,
    reason: 'Forbidden',
    message: `${subject}: ${why}`,
    ...(resource && { details: { ...detailsOf(resource, name), ...(causes && { causes }) } }),
  });
}

export function notFound(resource: ResourceName, name: string): StatusError {
  return new StatusError({
    code: 404,
    reason: 'NotFound',
    message: `${qualified(resource)} ${quote(name)} not found`,
    details: detailsOf(resource, name),
  });
}

/** 404 of a path that no kind serves. */
export function unknownPath(): StatusError {
  return new StatusError({
    code: 404,
    reason: 'NotFound',
    message: 'the server could not find the requested resource',
    details: {},
  });
}

export function methodNotAllowed(): StatusError {
  return new StatusError({
    code: 405,
    reason: 'MethodNotAllowed',
    message: 'the server does not allow this method on the requested resource',
    details: {},
  });
}

/** 405 with a reason of its own. */
export function notAllowed(message: string): StatusError {
  return new StatusError({ code: 405, reason: 'MethodNotAllowed', message });
}

export function alreadyExists(resource: ResourceName, name: string, isDeleted = false): StatusError {
  return new StatusError({
    code: 409,
    reason: 'AlreadyExists',
    message: `${isDeleted ? 'object is being deleted: ' : ''}${qualified(resource)} ${quote(name)} already exists`,
    details: detailsOf(resource, name),
  });
}

export function conflict(resource: ResourceName, name: string, why: string): StatusError {
  return new StatusError({
    code: 409,
    reason: 'Conflict',
    message: `Operation cannot be fulfilled on ${qualified(resource)} ${quote(name)}: ${why}`,
    details: detailsOf(resource, name),
  });
}

/** What a webhook answered, under its name; a refusal is at least a 400. */
export function deniedByWebhook(webhook: string, status: Partial<KubeStatus> | undefined): StatusError {
  const denied = `admission webhook ${quote(webhook)} denied the request`;
  const why = status?.message || status?.reason;
  return new StatusError({
    code: Math.max(400, status?.code ?? 400),
    reason: status?.reason ?? 'BadRequest',
    message: why ? `${denied}: ${why}` : `${denied} without explanation`,
    ...(status?.details ? { details: status.details } : {}),
  });
}

/** 500: a webhook that must be asked could not be. */
export function webhookFailed(webhook: string, why: string): StatusError {
  return new StatusError({
    code: 500,
    reason: 'InternalError',
    message: `Internal error occurred: failed calling webhook ${quote(webhook)}: ${why}`,
  });
}

/** 410: the revision is no longer in the event log; list again. */
export function expired(revision: number, oldest: number): StatusError {
  return new StatusError({
    code: 410,
    reason: 'Expired',
    message: `too old resource version: ${revision} (${oldest})`,
  });
}

/** 410: a list was asked for at a revision that is gone. */
export function revisionTooOld(): StatusError {
  return new StatusError({
    code: 410,
    reason: 'Expired',
    message: 'The resourceVersion for the provided list is too old.',
  });
}

/** 410 of a later page, with the token by which a client may go on without consistency. */
export function inconsistentContinue(token: string): StatusError {
  const message =
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.';
  return new StatusError({ code: 410, reason: 'Expired', message, metadata: { continue: token } });
}

/** 504: a revision from the future, or of another store. */
export function revisionTooLarge(wanted: number, current: number): StatusError {
  return new StatusError({
    code: 504,
    reason: 'Timeout',
    message: `Timeout: Too large resource version: ${wanted}, current: ${current}`,
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
  });
}

/** 429: come back in a second. */
export function tooManyRequests(message: string): StatusError {
  return new StatusError({ code: 429, reason: 'TooManyRequests', message, details: { retryAfterSeconds: 1 } });
}

/** 422 with one cause a field, worded `Kind "name" is invalid: path: message`. */
export function invalid(
  group: string,
  kind: string,
  name: string,
  causes: readonly Required<StatusCause>[],
): StatusError {
  const texts = causes.map((cause) => `${cause.field}: ${cause.message}`);
  return new StatusError({
    code: 422,
    reason: 'Invalid',
    message: `${kind}${group === '' ? '' : `.${group}`} ${quote(name)} is invalid: ${texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`}`,
    details: { ...(name !== '' && { name }), ...(group !== '' && { group }), kind, causes: [...causes] },
  });
}

export function unsupportedMediaType(message: string): StatusError {
  return new StatusError({ code: 415, reason: 'UnsupportedMediaType', message });
}

/** 406: the client accepts nothing that this server writes. */
export function notAcceptable(): StatusError {
  return new StatusError({
    code: 406,
    reason: 'NotAcceptable',
    message: 'only the following media types are accepted: application/json',
  });
}

export function tooLarge(limitBytes: number): StatusError {
  return new StatusError({
    code: 413,
    reason: 'RequestEntityTooLarge',
    message: `Request entity too large: limit is ${limitBytes}`,
  });
}

/** 503 while the server drains. */
export function shuttingDown(): StatusError {
  return new StatusError({ code: 503, reason: 'ServiceUnavailable', message: 'the API server is shutting down' });
}

/** The `Status` that answers a delete which left nothing behind. */
export function deletedStatus(resource: ResourceName, name: string, uid: string | undefined): KubeStatus {
  return {
    apiVersion: 'v1',
    kind: 'Status',
    metadata: {},
    status: 'Success',
    details: { ...detailsOf(resource, name), ...(uid !== undefined && { uid }) },
  };
}

function failure(options: StatusErrorOptions): KubeStatus {
  return {
    apiVersion: 'v1',
    kind: 'Status',
    metadata: (options.metadata ?? {}) as KubeStatus['metadata'],
    status: 'Failure',
    message: options.message,
    ...(options.reason !== '' && { reason: options.reason }),
    ...(options.details && { details: options.details }),
    code: options.code,
  };
}

function detailsOf(resource: ResourceName, name: string): NonNullable<KubeStatus['details']> {
  return {
    ...(name !== '' && { name }),
    ...(resource.group !== '' && { group: resource.group }),
    kind: resource.plural,
  };
}

function qualified(resource: ResourceName): string {
  return resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`;
}

function quote(text: string): string {
  return JSON.stringify(text);
}
