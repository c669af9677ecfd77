/** Response heads (RFC 9112 sections 4 and 6.3), and where the body of a response ends. */
import { HeaderList } from '../header-list.ts';
import type { ResponseHead } from '../message.ts';
import { fieldByte } from './characters.ts';
import { bodyFramingOf } from './body-framing.ts';
import { Http1Error, malformed } from './errors.ts';
import { collectFields } from './field-collector.ts';
import { scanFields } from './field-scan.ts';

export interface ResponseOptions {
  readonly maxHeadBytes: number;
  readonly maxFields: number;
}

export interface ParsedResponse {
  readonly head: ResponseHead;
  /** `close`: up to the end of the connection. */
  readonly body: number | 'chunked' | 'close';
  readonly keepsAlive: boolean;
  /** Of 101: what was agreed on, in lower case. */
  readonly upgrade: string | undefined;
  /** Where the head ends. */
  readonly end: number;
}

/** Reads the head from `start` on; undefined: `end` came first. Throws an `Http1Error`. */
export function parseResponse(
  bytes: Uint8Array,
  start: number,
  end: number,
  method: string,
  options: ResponseOptions,
): ParsedResponse | undefined {
  // 'HTTP/1.1 200' and one byte
  if (start + 13 > end) return undefined;
  for (let i = 0; i < 9; i++)
    if (bytes[start + i] !== prefix[i] && i !== 7) throw malformed('The answer does not begin with HTTP/1');
  const minor = bytes[start + 7];
  if (minor !== 0x31 && minor !== 0x30) throw malformed('The answer is neither HTTP/1.0 nor HTTP/1.1');
  const status =
    digit(bytes[start + 9] as number) * 100 +
    digit(bytes[start + 10] as number) * 10 +
    digit(bytes[start + 11] as number);
  if (!(status >= 100 && status <= 599)) throw malformed('The status is none');
  let at = start + 12;
  if (bytes[at] === 0x20) while (at < end && fieldByte[bytes[at] as number] === 1) at++;
  if (at + 1 >= end) return undefined;
  if (bytes[at] !== 0x0d || bytes[at + 1] !== 0x0a) throw malformed('The status line has a forbidden byte');
  const headEnd = scanFields(bytes, at + 2, end, options.maxFields);
  if (headEnd < 0) return undefined;
  if (headEnd - start > options.maxHeadBytes)
    throw new Http1Error(431, `Head of more than ${options.maxHeadBytes} bytes`);

  const isHttp10 = minor === 0x30;
  const fields = collectFields(bytes, headEnd);
  const kept = fields.fields;
  let body: ParsedResponse['body'] = 0;
  if (status >= 200 && status !== 204 && !(method === 'CONNECT' && status < 300)) {
    const framing = bodyFramingOf(fields, isHttp10);
    if (typeof framing === 'number') kept.push('content-length', String(framing));
    if (method !== 'HEAD' && status !== 304) body = framing === 'none' ? 'close' : framing;
  }
  const keepsAlive = body !== 'close' && !fields.closes && (!isHttp10 || fields.keepsAlive);
  return {
    head: { status, headers: new HeaderList(kept) },
    body,
    keepsAlive,
    upgrade: fields.upgrade?.toLowerCase(),
    end: headEnd,
  };
}

const prefix = Buffer.from('HTTP/1.1 ');

function digit(byte: number): number {
  return byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : Number.NaN;
}
