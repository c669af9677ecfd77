/** One problem of one field, worded as Kubernetes words it (`k8s.io/apimachinery/pkg/util/validation/field`). */

export type FieldErrorReason =
  | 'FieldValueNotFound'
  | 'FieldValueRequired'
  | 'FieldValueDuplicate'
  | 'FieldValueInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueForbidden'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'FieldValueTypeInvalid';

/** Becomes one entry of `Status.details.causes`. */
export interface FieldError {
  /** `spec.containers[0].ports[1].name` */
  readonly path: string;
  readonly reason: FieldErrorReason;
  /** Without the path: `Invalid value: "x": must be ...`. */
  readonly message: string;
}

export function required(path: string, detail = ''): FieldError {
  return {
    path,
    reason: 'FieldValueRequired',
    message: detail === '' ? 'Required value' : `Required value: ${detail}`,
  };
}

export function invalid(path: string, value: unknown, detail: string): FieldError {
  return { path, reason: 'FieldValueInvalid', message: `Invalid value: ${quote(value)}: ${detail}` };
}

export function typeInvalid(path: string, value: unknown, detail: string): FieldError {
  return { path, reason: 'FieldValueTypeInvalid', message: `Invalid value: ${quote(value)}: ${detail}` };
}

export function notSupported(path: string, value: unknown, supported: readonly string[]): FieldError {
  const list = supported.map((item) => JSON.stringify(item)).join(', ');
  return {
    path,
    reason: 'FieldValueNotSupported',
    message: `Unsupported value: ${quote(value)}: supported values: ${list}`,
  };
}

export function duplicate(path: string, value: unknown): FieldError {
  return { path, reason: 'FieldValueDuplicate', message: `Duplicate value: ${quote(value)}` };
}

export function forbidden(path: string, detail: string): FieldError {
  return { path, reason: 'FieldValueForbidden', message: `Forbidden: ${detail}` };
}

export function tooLong(path: string, maxBytes: number): FieldError {
  return { path, reason: 'FieldValueTooLong', message: `Too long: may not be more than ${maxBytes} bytes` };
}

/** Values in messages are JSON, cut so that one bad field cannot fill the answer. */
function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? 'null';
  return text.length > 300 ? `${text.slice(0, 300)}...` : text;
}
