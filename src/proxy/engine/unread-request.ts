/** Requests that a codec refused before anybody saw them: what access logs and metrics say of them. */
import { HeaderList } from '../../http/header-list.ts';
import type { BadRequest, HttpVersion, ServerExchange } from '../../http/message.ts';
import { writeResult } from '../../net/channel.ts';
import type { LocalReply } from './filter.ts';

/** What the codec has said by itself, in Envoy's words (flag, details) and in ours. Nothing in it is the client's to choose. */
export function codecRefusal({ status, problem }: BadRequest, version: HttpVersion): LocalReply {
  const protocol = version === 'http/2' ? 'HTTP/2' : 'HTTP/1.1';
  switch (status) {
    case 0:
      // The connection as a whole: nothing could be answered.
      return {
        status,
        flag: 'DPE',
        details: version === 'http/2' ? 'http2.codec_error' : 'http1.codec_error',
        reason: `the connection is not valid ${protocol}: ${problem}`,
      };
    case 408:
      return { status, flag: '', details: 'request_header_timeout', reason: `the client was too slow: ${problem}` };
    case 414:
    case 431: {
      const details = version === 'http/2' ? 'http2.too_many_headers' : 'http1.headers_too_large';
      return { status, flag: 'DPE', details, reason: `the head of the request is too large: ${problem}` };
    }
    case 417:
    case 501:
    case 505:
      return {
        status,
        flag: 'DPE',
        details: 'http1.codec_error',
        reason: `the request asks for what is not served: ${problem}`,
      };
    case 426:
      return { status, flag: 'DPE', details: 'low_version', reason: `the client's version is too old: ${problem}` };
    default: {
      const details = version === 'http/2' ? 'http2.violation.of.messaging.rule' : 'http1.codec_error';
      return { status, flag: 'DPE', details, reason: `the request is not valid ${protocol}: ${problem}` };
    }
  }
}

/** In place of the exchange that there never was: nothing is known of the request, and nobody listens. */
export function unreadExchange(version: HttpVersion): ServerExchange {
  return {
    request: { method: '', scheme: 'http', authority: '', path: '', headers: new HeaderList(), version },
    bodyLength: 0,
    read() {},
    credit() {},
    sendInformational() {},
    respond() {},
    write: () => writeResult.done,
    end() {},
    reset() {},
  };
}
