/**
 * Formats of access logs in Envoy's language, compiled: text with operators in it, as in `%REQ(X-A?:PATH):20%`, or an object of such
 * texts. What the operators mean is the caller's.
 */
import { AmbitError } from '../lib/errors.ts';

/** A value of the log's subject; undefined: there is none. */
export type LogOperator<Subject> = (subject: Subject) => string | number | undefined;

/** `argument`: what stands in parentheses, if there are some. Undefined: there is no such operator. */
export type OperatorResolver<Subject> = (
  name: string,
  argument: string | undefined,
) => LogOperator<Subject> | undefined;

export interface JsonFormat {
  readonly [key: string]: string | number | boolean | JsonFormat;
}

/** Istio's, on one line. */
export const defaultTextFormat: string =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
  '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% ' +
  '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" ' +
  '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% ' +
  '%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n';

/** Istio's. */
export const defaultJsonFormat: JsonFormat = {
  start_time: '%START_TIME%',
  route_name: '%ROUTE_NAME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  response_code: '%RESPONSE_CODE%',
  response_flags: '%RESPONSE_FLAGS%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  connection_termination_details: '%CONNECTION_TERMINATION_DETAILS%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  duration: '%DURATION%',
  upstream_service_time: '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%',
  x_forwarded_for: '%REQ(X-FORWARDED-FOR)%',
  user_agent: '%REQ(USER-AGENT)%',
  request_id: '%REQ(X-REQUEST-ID)%',
  authority: '%REQ(:AUTHORITY)%',
  upstream_host: '%UPSTREAM_HOST%',
  upstream_cluster: '%UPSTREAM_CLUSTER_RAW%',
  upstream_local_address: '%UPSTREAM_LOCAL_ADDRESS%',
  downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
  requested_server_name: '%REQUESTED_SERVER_NAME%',
  upstream_transport_failure_reason: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
};

type Part<Subject> = string | LogOperator<Subject>;

/** A line without its newline; what there is no value for is `-`. Throws `telemetry.bad-format`. */
export function compileTextFormat<Subject>(
  template: string,
  resolve: OperatorResolver<Subject>,
): (subject: Subject) => string {
  const parts = parseTemplate(template.replace(/\n$/, ''), resolve);
  return (subject) => {
    let line = '';
    for (const part of parts) line += typeof part === 'string' ? part : (part(subject) ?? '-');
    return line;
  };
}

/** One object on one line. A field that is an operator alone keeps its type, and is null where there is no value. Throws as above. */
export function compileJsonFormat<Subject>(
  format: JsonFormat,
  resolve: OperatorResolver<Subject>,
): (subject: Subject) => string {
  const fields = Object.entries(format).map(([key, value], i) => {
    return { before: `${i === 0 ? '' : ','}${JSON.stringify(key)}:`, value: compileValue(value, resolve) };
  });
  return (subject) => {
    let line = '{';
    for (const { before, value } of fields) line += before + value(subject);
    return `${line}}`;
  };
}

/** The object that a text says. Throws `telemetry.bad-format`. */
export function parseJsonFormat(text: string): JsonFormat {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw badFormat(text, 'it is not JSON');
  }
  if (!isFormat(value)) throw badFormat(text, 'it must be an object of texts, numbers, booleans and such objects');
  return value;
}

function isFormat(value: unknown): value is JsonFormat {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((one) => ['string', 'number', 'boolean'].includes(typeof one) || isFormat(one));
}

function compileValue<Subject>(
  value: JsonFormat[string],
  resolve: OperatorResolver<Subject>,
): (subject: Subject) => string {
  if (typeof value === 'object') return compileJsonFormat(value, resolve);
  if (typeof value !== 'string') {
    const text = JSON.stringify(value);
    return () => text;
  }
  const [only, second] = parseTemplate(value, resolve);
  if (typeof only === 'function' && second === undefined) return (subject) => jsonOf(only(subject));
  const text = compileTextFormat(value, resolve);
  return (subject) => jsonOf(text(subject));
}

/** ASCII without controls, quote and backslash. */
const needsNoEscaping = /^[ !#-[\]-~]*$/;

function jsonOf(value: string | number | undefined): string {
  if (value === undefined) return 'null';
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : 'null';
  return needsNoEscaping.test(value) ? `"${value}"` : JSON.stringify(value);
}

/** `%%`, or an operator with what it may have: an argument in parentheses (which may hold `%`), and a length. */
const operatorPattern = /%(?:%|([A-Z_0-9]+)(?:\(((?:[^)])*)\))?(?::(\d+))?%)/y;

function parseTemplate<Subject>(template: string, resolve: OperatorResolver<Subject>): Part<Subject>[] {
  const parts: Part<Subject>[] = [];
  let literal = '';
  for (let at = 0; at < template.length;) {
    const percent = template.indexOf('%', at);
    if (percent < 0) {
      literal += template.slice(at);
      break;
    }
    literal += template.slice(at, percent);
    operatorPattern.lastIndex = percent;
    const found = operatorPattern.exec(template);
    if (!found)
      throw badFormat(template, `there is no operator at ${JSON.stringify(template.slice(percent, percent + 20))}`);
    at = operatorPattern.lastIndex;
    const [, name, argument, length] = found;
    if (name === undefined) {
      literal += '%';
      continue;
    }
    const operator = resolve(name, argument);
    if (!operator) throw badFormat(template, `there is no operator "${name}"`);
    if (literal !== '') parts.push(literal);
    literal = '';
    parts.push(length === undefined ? operator : truncated(operator, Number(length)));
  }
  if (literal !== '') parts.push(literal);
  return parts;
}

function truncated<Subject>(operator: LogOperator<Subject>, length: number): LogOperator<Subject> {
  return (subject) => {
    const value = operator(subject);
    return typeof value === 'string' && value.length > length ? value.slice(0, length) : value;
  };
}

function badFormat(template: string, state: string): AmbitError {
  const shown = template.length > 200 ? `${template.slice(0, 200)}...` : template;
  return new AmbitError(`Cannot compile the format ${JSON.stringify(shown)}: ${state}`, {
    code: 'telemetry.bad-format',
    blame: 'downstream',
  });
}
