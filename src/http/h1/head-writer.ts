/** Heads as text: fields that belong to one hop are left out, framing is written by the codec alone. */
import type { HeaderList } from '../header-list.ts';
import { fieldValuePattern } from './characters.ts';
import { describeName, fieldKind } from './field-names.ts';

/** What the last `fieldLines` met. One for all: used before the next head is written. */
export interface WrittenFields {
  /** Lines of the result. */
  lines: number;
  /** Undefined without one, and when there are several or it is no number. */
  contentLength: number | undefined;
  /** Whether a Content-Length was there that makes no sense. */
  badLength: boolean;
  takesTrailers: boolean;
}

export const writtenFields: WrittenFields = {
  lines: 0,
  contentLength: undefined,
  badLength: false,
  takesTrailers: false,
};

/**
 * The lines of `headers` but for framing and connection fields, each with the end of the line before it in place of its own: that is
 * half of the strings. Whether values hold line ends is for `Outbox.head` to find, which looks at the bytes; with `checked`, fields
 * that cannot be sent are left out here.
 */
export function fieldLines(headers: HeaderList, checked: boolean): string {
  const { fields } = headers;
  let text = '';
  let lines = 0;
  let lengths = 0;
  let length: string | undefined;
  writtenFields.takesTrailers = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    const field = describeName(name);
    if (field === undefined) continue;
    switch (field.kind) {
      case fieldKind.plain:
      case fieldKind.expect:
        if (checked && !fieldValuePattern.test(value)) break;
        text = text + field.lead + value;
        lines++;
        break;
      case fieldKind.contentLength:
        lengths++;
        length = value;
        break;
      case fieldKind.te:
        writtenFields.takesTrailers = value === 'trailers';
        break;
      default:
        break;
    }
  }
  const isNumber = lengths === 1 && length !== undefined && /^[0-9]{1,15}$/.test(length);
  writtenFields.contentLength = isNumber ? Number(length) : undefined;
  writtenFields.badLength = lengths > 0 && !isNumber;
  writtenFields.lines = lines;
  return text;
}

const reasons: Readonly<Record<number, string>> = {
  100: 'Continue',
  101: 'Switching Protocols',
  103: 'Early Hints',
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  204: 'No Content',
  206: 'Partial Content',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  417: 'Expectation Failed',
  421: 'Misdirected Request',
  422: 'Unprocessable Content',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
};

const statusLines: string[] = [];

/** Without its line end. */
export function statusLine(status: number): string {
  return (statusLines[status] ??= `HTTP/1.1 ${status} ${reasons[status] ?? 'Unknown'}`);
}
