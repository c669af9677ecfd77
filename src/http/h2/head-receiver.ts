/** Heads that arrive in a session: HEADERS and CONTINUATION put together, decoded, checked, and given to their streams (RFC 9113 section 8). */
import { HeaderList } from '../header-list.ts';
import { errorCode, frameFlag, frameType } from './constants.ts';
import { connectionError, type Http2Error } from './errors.ts';
import { HeaderBlock } from './header-block.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import type { FloodGuard, Http2Limits } from './limits.ts';
import { contentLength, requestProblem, responseProblem, trailersProblem } from './message-validation.ts';
import type { StreamTable } from './stream-table.ts';
import { type Http2Stream, streamError, type StreamHandler, type StreamHost } from './stream.ts';

/** Server: who takes requests. Callbacks never throw. */
export interface RequestHandler {
  /** A request head arrived. Returns who consumes the stream; answers through `stream`, now or later. */
  onRequest?(stream: Http2Stream, headers: HeaderList, endStream: boolean): StreamHandler;
  /** A request was answered 400 or 431, or reset (0), without coming to `onRequest`, because of `problem`. */
  onMalformedRequest?(problem: string, status: number): void;
}

export interface HeadReceiverOptions {
  readonly limits: Pick<
    Http2Limits,
    'headerTableSize' | 'maxHeaderListSize' | 'maxConcurrentStreams' | 'extendedConnect'
  >;
  readonly handler: RequestHandler;
  readonly streams: StreamTable;
  readonly flood: FloodGuard;
  readonly host: Pick<StreamHost, 'writeHeaders' | 'writeReset'>;
  /** Server: whether new requests are still taken, up to this stream. */
  readonly takesRequest: (streamId: number) => boolean;
  /** Server: adds the stream of a request. */
  readonly createStream: (streamId: number, handler: StreamHandler) => Http2Stream;
  /** Ends a stream with an error of the peer's. */
  readonly resetStream: (stream: Http2Stream, error: Http2Error) => void;
  /** A head came for a stream that is not there and may not begin. */
  readonly onHeadForNoStream: (streamId: number) => void;
}

/** The errors of a connection are thrown, those of a stream reset it. */
export class HeadReceiver {
  readonly #options: HeadReceiverOptions;
  readonly #streams: StreamTable;
  readonly #flood: FloodGuard;
  readonly #decoder: HpackDecoder;
  readonly #block: HeaderBlock;

  constructor(options: HeadReceiverOptions) {
    const { headerTableSize, maxHeaderListSize } = options.limits;
    this.#options = options;
    this.#streams = options.streams;
    this.#flood = options.flood;
    this.#decoder = new HpackDecoder({ maxTableSize: headerTableSize, maxListSize: maxHeaderListSize });
    this.#block = new HeaderBlock(maxHeaderListSize);
  }

  /** Every frame that arrives: nothing interrupts a header block. */
  expectFrame(type: number, streamId: number): void {
    const open = this.#block.streamId;
    if (open !== 0 ? type !== frameType.continuation || streamId !== open : type === frameType.continuation) {
      throw connectionError(errorCode.protocolError, 'Peer broke the sequence of HEADERS and CONTINUATION');
    }
  }

  /** A HEADERS or CONTINUATION frame after `expectFrame`. */
  onFrame(type: number, flags: number, streamId: number, source: Uint8Array, start: number, end: number): void {
    const block = this.#block;
    if (type === frameType.headers) {
      if (streamId === 0) throw connectionError(errorCode.protocolError, 'Peer sent HEADERS on stream 0');
      block.begin(flags, streamId, source, start, end);
    } else block.append(source, start, end);
    if ((flags & frameFlag.endHeaders) === 0) {
      block.keep();
      return;
    }
    const list = block.finish(this.#decoder);
    this.#onHead(streamId, list, block.endStream, block.selfDependent);
  }

  /** `list` is undefined when it is over the limit. */
  #onHead(streamId: number, list: HeaderList | undefined, endStream: boolean, selfDependent: boolean): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      if (this.#streams.isNextOfPeer(streamId)) {
        this.#onRequest(streamId, list, endStream, selfDependent);
      } else this.#options.onHeadForNoStream(streamId);
      return;
    }
    if (stream.receiveEnded) {
      this.#options.resetStream(stream, streamError(errorCode.streamClosed, 'Peer sent HEADERS after the end'));
    } else if (list === undefined) {
      this.#options.resetStream(stream, streamError(errorCode.protocolError, 'Peer sent a header list over the limit'));
    } else if (stream.headSeen) this.#onTrailers(stream, list, endStream);
    else this.#onResponse(stream, list, endStream);
  }

  #onRequest(streamId: number, list: HeaderList | undefined, endStream: boolean, selfDependent: boolean): void {
    const { host, handler, limits } = this.#options;
    this.#streams.notePeerId(streamId);
    if (!this.#options.takesRequest(streamId)) return;
    if (this.#streams.size >= limits.maxConcurrentStreams) {
      this.#flood.charge('streams over the limit');
      host.writeReset(streamId, errorCode.refusedStream);
      return;
    }
    const length = list && contentLength(list);
    const problem =
      list === undefined
        ? undefined
        : (requestProblem(list, { sound: this.#decoder.sound, extendedConnect: limits.extendedConnect }) ??
          lengthProblem(length, endStream));
    if (selfDependent) {
      this.#flood.charge('malformed requests');
      host.writeReset(streamId, errorCode.protocolError);
      handler.onMalformedRequest?.('a stream that depends on itself', 0);
      return;
    }
    if (list === undefined || problem !== undefined) {
      // A plain answer tells more than a reset alone (RFC 9113 section 8.1.1 allows it).
      this.#flood.charge('malformed requests');
      const status = list ? 400 : 431;
      host.writeHeaders(streamId, new HeaderList([':status', String(status)]), true);
      host.writeReset(streamId, errorCode.protocolError);
      handler.onMalformedRequest?.(problem ?? 'a header list over the limit', status);
      return;
    }
    const stream = this.#options.createStream(streamId, ignoreStream);
    stream.headSeen = true;
    if (!endStream && list.get(':method') !== 'CONNECT') stream.expectContent(length);
    const streamHandler = handler.onRequest?.(stream, list, endStream);
    if (streamHandler === undefined) stream.reset(errorCode.refusedStream);
    else if (!stream.closed) {
      stream.setHandler(streamHandler);
      if (endStream) stream.receiveEnd();
    } else stream.setHandler(streamHandler);
  }

  #onResponse(stream: Http2Stream, list: HeaderList, endStream: boolean): void {
    const problem = responseProblem(list, this.#decoder);
    const informational = list.get(':status')?.startsWith('1') === true;
    if (problem !== undefined || (informational && endStream) || contentLength(list) === -1) {
      this.#options.resetStream(
        stream,
        streamError(errorCode.protocolError, `Peer sent a malformed response: ${problem ?? 'framing'}`),
      );
      return;
    }
    if (informational) this.#flood.charge('informational responses');
    else stream.headSeen = true;
    stream.receiveHeaders(list, endStream);
    if (endStream) stream.receiveEnd();
  }

  #onTrailers(stream: Http2Stream, list: HeaderList, endStream: boolean): void {
    const problem = endStream ? trailersProblem(list, this.#decoder) : 'they do not end the stream';
    if (problem === undefined) stream.receiveEnd(list);
    else
      this.#options.resetStream(
        stream,
        streamError(errorCode.protocolError, `Peer sent malformed trailers: ${problem}`),
      );
  }
}

/** Consumes a request until its handler is known. */
const ignoreStream: StreamHandler = {
  onHeaders() {},
  onData() {},
  onEnd() {},
  onDrain() {},
  onClose() {},
};

function lengthProblem(length: number | undefined, endStream: boolean): string | undefined {
  if (length === -1) return 'an invalid content-length';
  return endStream && length !== undefined && length > 0 ? 'a content-length without a body' : undefined;
}
