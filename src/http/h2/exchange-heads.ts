/** Heads of exchanges: header lists with pseudo fields on the wire, `RequestHead` and `ResponseHead` here. */
import { describeName } from '../h1/field-names.ts';
import { HeaderList } from '../header-list.ts';
import type { RequestHead, ResponseHead } from '../message.ts';
import { webSocketAccept, webSocketKey } from './websocket-handshake.ts';

/** What belongs to one hop of HTTP/1, and what travels as a pseudo field: never sent. */
const droppedFields = new Set([
  'connection',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/**
 * The head of a request whose list was found valid; the list is taken over. Crumbs of a cookie are joined (RFC 9113 section
 * 8.2.3). An extended CONNECT becomes what it is in HTTP/1.1: GET with `upgrade`, and for WebSocket a key.
 */
export function readRequestHead(list: HeaderList): RequestHead {
  const { fields } = list;
  const head: RequestHead = {
    method: '',
    scheme: 'http',
    authority: '',
    path: '',
    headers: list,
    version: 'http/2',
  };
  let at = 0;
  for (; at < fields.length; at += 2) {
    const name = fields[at] as string;
    if (name.charCodeAt(0) !== 0x3a) break;
    const value = fields[at + 1] as string;
    if (name === ':method') head.method = value;
    else if (name === ':path') head.path = value;
    else if (name === ':authority') head.authority = value;
    else if (name === ':protocol') head.upgrade = value.toLowerCase();
    else if (value === 'https') head.scheme = 'https';
  }
  fields.splice(0, at);
  tidyFields(head, fields);
  if (head.upgrade !== undefined) {
    head.method = 'GET';
    if (head.upgrade === 'websocket') list.add('sec-websocket-key', webSocketKey());
  }
  return head;
}

/** Takes Host out, and joins the crumbs of a cookie where the first one is. */
function tidyFields(head: RequestHead, fields: string[]): void {
  let to = 0;
  let cookieAt = -1;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    if (name === 'host') {
      if (head.authority === '') head.authority = value;
      continue;
    }
    if (name === 'cookie') {
      if (cookieAt >= 0) {
        fields[cookieAt] += `; ${value}`;
        continue;
      }
      cookieAt = to + 1;
    }
    if (to !== i) {
      fields[to] = name;
      fields[to + 1] = value;
    }
    to += 2;
  }
  fields.length = to;
}

/** The list to send for a request. With `upgrade`: extended CONNECT; the WebSocket's key stays here. */
export function requestList(head: RequestHead): HeaderList {
  const { upgrade } = head;
  const fields =
    upgrade !== undefined
      ? [':method', 'CONNECT', ':protocol', upgrade, ':scheme', head.scheme, ':authority', head.authority]
      : head.method === 'CONNECT'
        ? [':method', 'CONNECT', ':authority', head.authority]
        : [':method', head.method, ':scheme', head.scheme, ':authority', head.authority];
  if (upgrade !== undefined || head.method !== 'CONNECT') fields.push(':path', head.path);
  return withFields(fields, head.headers, upgrade === 'websocket' ? 'sec-websocket-key' : undefined);
}

/** The head of a response whose list was found valid; the list is taken over. `:status` is its first field. */
export function readResponseHead(list: HeaderList): ResponseHead {
  const status = Number(list.fields[1]);
  list.fields.splice(0, 2);
  return { status, headers: list };
}

/** The list to send for a response. */
export function responseList(head: ResponseHead, webSocket = false): HeaderList {
  return withFields([':status', String(head.status)], head.headers, webSocket ? 'sec-websocket-accept' : undefined);
}

/** The answer to a WebSocket handshake as it is in HTTP/1.1, for one that was accepted over HTTP/2. */
export function switchedHead(list: HeaderList, key: string | undefined): ResponseHead {
  const head = readResponseHead(list);
  head.status = 101;
  if (key !== undefined) list.add('sec-websocket-accept', webSocketAccept(key));
  return head;
}

/** Trailers that may go on: nothing that frames, routes or vouches for a message; undefined: none are left. */
export function readTrailers(list: HeaderList | undefined): HeaderList | undefined {
  if (list === undefined) return undefined;
  const { fields } = list;
  let to = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    if (describeName(name)?.noTrailer !== false || name.startsWith('x-envoy-')) continue;
    fields[to] = name;
    fields[to + 1] = fields[i + 1] as string;
    to += 2;
  }
  fields.length = to;
  return to > 0 ? list : undefined;
}

function withFields(fields: string[], from: HeaderList, without: string | undefined): HeaderList {
  const source = from.fields;
  for (let i = 0; i < source.length; i += 2) {
    const name = source[i] as string;
    if (droppedFields.has(name) || name === without) continue;
    fields.push(name, source[i + 1] as string);
  }
  const list = new HeaderList(fields);
  list.neverIndexed = from.neverIndexed;
  return list;
}
