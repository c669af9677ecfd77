/** How long a body is, by Content-Length and Transfer-Encoding (RFC 9112 section 6), refusing whatever two readers could see differently. */
import { Http1Error, malformed } from './errors.ts';
import type { CollectedFields } from './field-collector.ts';

/** `none`: the head tells nothing. */
export type BodyFraming = number | 'chunked' | 'none';

/** Digits that are exact as a number, with room for sums. */
const lengthPattern = /^[0-9]{1,15}$/;

export function bodyFramingOf(fields: CollectedFields, isHttp10: boolean): BodyFraming {
  if (fields.transferEncodings > 0) {
    if (fields.contentLengths > 0) throw malformed('Content-Length together with Transfer-Encoding');
    if (isHttp10) throw malformed('Transfer-Encoding in HTTP/1.0');
    const coding = fields.transferEncoding;
    if (coding === 'chunked' || coding.toLowerCase() === 'chunked') return 'chunked';
    throw codingProblem(coding);
  }
  if (fields.contentLengths === 0) return 'none';
  if (fields.contentLengths > 1) throw malformed('More than one Content-Length');
  if (!lengthPattern.test(fields.contentLength)) throw malformed('Content-Length is no number that we take');
  return Number(fields.contentLength);
}

function codingProblem(coding: string): Http1Error {
  const codings = coding.split(',').map((name) => name.trim().toLowerCase());
  const unknown = codings.find((name) => name !== 'chunked');
  if (unknown !== undefined && /^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(unknown) && codings.at(-1) === 'chunked') {
    return new Http1Error(501, `Transfer coding "${unknown.slice(0, 40)}" is not known here`);
  }
  if (codings.length === 1 && /^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(coding.toLowerCase())) {
    return new Http1Error(501, `Transfer coding "${coding.slice(0, 40)}" is not known here`);
  }
  return malformed('Transfer-Encoding is not exactly "chunked"');
}
