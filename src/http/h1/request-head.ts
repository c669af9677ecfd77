/** Request heads (RFC 9112 sections 3 and 6): start line, target, Host, and what they mean together. */
import { HeaderList } from '../header-list.ts';
import type { BodyLength, RequestHead } from '../message.ts';
import { authorityPattern, latin1Text, tokenFold } from './characters.ts';
import { bodyFramingOf } from './body-framing.ts';
import { Http1Error, malformed } from './errors.ts';
import { collectFields, type CollectedFields } from './field-collector.ts';
import { scanFields } from './field-scan.ts';

export interface RequestOptions {
  readonly scheme: 'http' | 'https';
  readonly allowHttp10: boolean;
  readonly maxHeadBytes: number;
  readonly maxFields: number;
}

export interface ParsedRequest {
  readonly head: RequestHead;
  readonly bodyLength: BodyLength;
  /** The client wants to go on with this connection. */
  readonly keepsAlive: boolean;
  /** It waits for 100 before it sends the body. */
  readonly expectsContinue: boolean;
  /** Where the head ends. */
  readonly end: number;
}

/** Reads the head from `start` on; undefined: `end` came first. Throws an `Http1Error`. */
export function parseRequest(
  bytes: Uint8Array,
  start: number,
  end: number,
  options: RequestOptions,
): ParsedRequest | undefined {
  let at = start;
  while (at < end && tokenFold[bytes[at] as number] !== 0) at++;
  const methodEnd = at;
  if (at >= end) return undefined;
  if (at === start || bytes[at] !== 0x20) throw malformed('A request begins with a method and one space');
  at++;
  while (at < end && (bytes[at] as number) > 0x20 && (bytes[at] as number) < 0x7f) at++;
  const targetEnd = at;
  // ' HTTP/1.1\r\n'
  if (at + 11 > end) {
    if (at < end && bytes[at] !== 0x20)
      throw malformed('The request target has a forbidden byte, or no version follows');
    return undefined;
  }
  if (targetEnd === methodEnd + 1) throw malformed('The request has no target');
  const isHttp10 = isVersion10(bytes, at, options.allowHttp10);
  const headEnd = scanFields(bytes, at + 11, end, options.maxFields);
  if (headEnd < 0) return undefined;
  if (headEnd - start > options.maxHeadBytes) throw tooLarge(targetEnd - start, options.maxHeadBytes);
  const method = latin1Text(bytes, start, methodEnd);
  const target = latin1Text(bytes, methodEnd + 1, targetEnd);
  return interpret(method, target, isHttp10, collectFields(bytes, headEnd), options.scheme, headEnd);
}

const version = Buffer.from(' HTTP/1.1\r\n');

function isVersion10(bytes: Uint8Array, at: number, allowHttp10: boolean): boolean {
  for (let i = 0; i < 11; i++)
    if (bytes[at + i] !== version[i]) return otherVersion(latin1Text(bytes, at, at + 11), allowHttp10);
  return false;
}

function otherVersion(text: string, allowHttp10: boolean): boolean {
  if (!text.startsWith(' ')) throw malformed('The request target has a forbidden byte, or no version follows');
  if (!/^ HTTP\/[0-9]\.[0-9]\r\n$/.test(text)) throw malformed('A request line ends with the version alone');
  if (text !== ' HTTP/1.0\r\n') throw new Http1Error(505, 'The version is neither HTTP/1.0 nor HTTP/1.1');
  if (!allowHttp10) throw new Http1Error(426, 'HTTP/1.0 is not served');
  return true;
}

function tooLarge(lineBytes: number, maxBytes: number): Http1Error {
  if (lineBytes > maxBytes) return new Http1Error(414, `Start line of more than ${maxBytes} bytes`);
  return new Http1Error(431, `Head of more than ${maxBytes} bytes`);
}

function interpret(
  method: string,
  target: string,
  isHttp10: boolean,
  fields: CollectedFields,
  scheme: 'http' | 'https',
  end: number,
): ParsedRequest {
  if (fields.hosts !== 1 && !(isHttp10 && fields.hosts === 0)) {
    throw malformed(fields.hosts === 0 ? 'There is no Host' : 'There is more than one Host');
  }
  let authority = fields.hosts === 0 ? '' : fields.host;
  if (fields.hosts > 0 && !authorityPattern.test(authority)) throw malformed('Host is no host');
  let path = target;
  if (method === 'CONNECT') {
    if (!authorityPattern.test(target) || !/:[0-9]+$/.test(target)) throw malformed('CONNECT without host and port');
    authority = target;
    path = '';
  } else if (target.charCodeAt(0) !== 0x2f) {
    if (target === '*') {
      if (method !== 'OPTIONS') throw malformed('The target "*" is for OPTIONS alone');
    } else {
      const parts = absoluteForm.exec(target);
      if (!parts) throw malformed('The request target has none of the known forms');
      authority = parts[1] as string;
      if (!authorityPattern.test(authority)) throw malformed('The request target has no valid host');
      path = parts[2] as string;
      if (path === '') path = method === 'OPTIONS' ? '*' : '/';
      else if (path.charCodeAt(0) !== 0x2f) path = `/${path}`;
    }
  }
  const fragment = path.indexOf('#');
  if (fragment >= 0) path = path.slice(0, fragment);

  const framing = bodyFramingOf(fields, isHttp10);
  const bodyLength = framing === 'chunked' ? 'unknown' : framing === 'none' ? 0 : framing;
  const { fields: kept } = fields;
  if (method === 'CONNECT') {
    if (bodyLength !== 0) throw malformed('CONNECT with a body');
  } else if (typeof framing === 'number') {
    kept.push('content-length', String(framing));
  }
  let expectsContinue = false;
  if (fields.expect !== undefined && !isHttp10) {
    if (fields.expect.toLowerCase() !== '100-continue') throw new Http1Error(417, 'Expect is not "100-continue"');
    kept.push('expect', '100-continue');
    expectsContinue = bodyLength !== 0;
  }
  const head: RequestHead = {
    method,
    scheme,
    authority,
    path,
    headers: new HeaderList(kept),
    version: isHttp10 ? 'http/1.0' : 'http/1.1',
  };
  const protocol = fields.upgrade?.toLowerCase();
  // A body would come before the new protocol; and HTTP/2 is spoken by those who begin with it.
  if (protocol !== undefined && protocol !== 'h2c' && bodyLength === 0 && !isHttp10 && method !== 'CONNECT') {
    head.upgrade = protocol;
  }
  const keepsAlive = !fields.closes && (!isHttp10 || fields.keepsAlive);
  return { head, bodyLength, keepsAlive, expectsContinue, end };
}

const absoluteForm = /^https?:\/\/([^/?#]+)(.*)$/i;
