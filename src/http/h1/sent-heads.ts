/** Heads that we send: their framing fields are ours, decided by what the message is, and staged in one piece. */
import type { RequestHead, ResponseHead } from '../message.ts';
import type { WriteFraming } from './body-writer.ts';
import { fieldLines, statusLine, writtenFields } from './head-writer.ts';
import type { Outbox } from './outbox.ts';
import type { HeaderList } from '../header-list.ts';

export interface SentResponse {
  readonly request: RequestHead;
  /** There is no body. */
  readonly ends: boolean;
  /** The connection ends behind it. */
  readonly closes: boolean;
}

/** Stages a final head that begins no tunnel. `raw`: the body ends with the connection. */
export function stageResponse(out: Outbox, head: ResponseHead, { request, ends, closes }: SentResponse): WriteFraming {
  const { status } = head;
  const isHttp10 = request.version === 'http/1.0';
  const fields = fieldLines(head.headers, false);
  const { contentLength } = writtenFields;
  let framing: WriteFraming = 'none';
  let rest = '';
  let restLines = 1;
  if (request.method === 'HEAD' || status === 304) {
    if (contentLength !== undefined) rest = `\r\ncontent-length: ${contentLength}`;
  } else if (status !== 204) {
    if (ends || contentLength !== undefined) framing = ends ? 0 : (contentLength as number);
    else framing = isHttp10 ? 'raw' : 'chunked';
    if (typeof framing === 'number') rest = `\r\ncontent-length: ${framing}`;
    else if (framing === 'chunked') rest = '\r\ntransfer-encoding: chunked';
  }
  if (rest !== '') restLines++;
  if (closes || framing === 'raw') {
    rest += '\r\nconnection: close';
    restLines++;
  } else if (isHttp10) {
    rest += '\r\nconnection: keep-alive';
    restLines++;
  }
  stage(out, head.headers, { line: statusLine(status), fields, rest: `${rest}\r\n\r\n`, lines: 1 + restLines });
  return framing;
}

/** Stages an informational head. */
export function stageInformational(out: Outbox, head: ResponseHead): void {
  const fields = fieldLines(head.headers, false);
  stage(out, head.headers, { line: statusLine(head.status), fields, rest: '\r\n\r\n', lines: 2 });
}

/** Stages 101, or the answer to CONNECT. */
export function stageTunnelResponse(out: Outbox, head: ResponseHead, upgrade: string | undefined): void {
  const fields = fieldLines(head.headers, false);
  const isSwitch = head.status === 101;
  const rest = isSwitch ? `\r\nconnection: upgrade\r\nupgrade: ${upgrade}\r\n\r\n` : '\r\n\r\n';
  stage(out, head.headers, { line: statusLine(head.status), fields, rest, lines: isSwitch ? 4 : 2 });
}

export interface SentRequest {
  readonly target: string;
  readonly ends: boolean;
  readonly asksForTunnel: boolean;
}

/** Stages a request head; undefined, with nothing staged: its Content-Length cannot be true. */
export function stageRequest(out: Outbox, head: RequestHead, request: SentRequest): WriteFraming | undefined {
  const { target, ends, asksForTunnel } = request;
  const { method, upgrade } = head;
  const fields = fieldLines(head.headers, false);
  const { contentLength, badLength, takesTrailers } = writtenFields;
  if (badLength || (ends && contentLength !== undefined && contentLength > 0)) return undefined;
  let framing: WriteFraming = 'none';
  let rest = '';
  let restLines = 1;
  if (!asksForTunnel) {
    if (!ends) framing = contentLength ?? 'chunked';
    if (framing === 'chunked') rest = '\r\ntransfer-encoding: chunked';
    else if (contentLength !== undefined || needsLength.has(method)) rest = `\r\ncontent-length: ${contentLength ?? 0}`;
    if (rest !== '') restLines++;
  }
  if (upgrade !== undefined) {
    rest += `\r\nconnection: upgrade\r\nupgrade: ${upgrade}`;
    restLines += 2;
  }
  if (takesTrailers) {
    rest += upgrade === undefined ? '\r\nte: trailers\r\nconnection: te' : '\r\nte: trailers';
    restLines += upgrade === undefined ? 2 : 1;
  }
  const line = `${method} ${target} HTTP/1.1\r\nhost: ${head.authority}`;
  stage(out, head.headers, { line, fields, rest: `${rest}\r\n\r\n`, lines: 2 + restLines });
  return framing;
}

/** Methods whose requests say that they have no body. */
const needsLength: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

interface HeadText {
  /** Without its end. */
  readonly line: string;
  /** As `fieldLines` has just made them of the headers. */
  readonly fields: string;
  /** From the end of the last field up to and with the empty line. */
  readonly rest: string;
  /** Of all but `fields`. */
  readonly lines: number;
}

function stage(out: Outbox, headers: HeaderList, { line, fields, rest, lines }: HeadText): void {
  if (out.head(`${line}${fields}${rest}`, lines + writtenFields.lines)) return;
  const checked = fieldLines(headers, true);
  if (!out.head(`${line}${checked}${rest}`, lines + writtenFields.lines))
    throw new Error('A checked head is not clean');
}
