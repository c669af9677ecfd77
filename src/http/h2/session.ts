/** HTTP/2 session over a byte channel, client or server (RFC 9113): streams, settings, flow control, keepalive, GOAWAY. */
import { type Clock, systemClock } from '../../lib/clock.ts';
import type { ByteChannel, ChannelReader } from '../../net/channel.ts';
import type { HeaderList } from '../header-list.ts';
import {
  connectionPreface,
  defaultMaxFrameSize,
  defaultWindowSize,
  errorCode,
  frameFlag,
  frameType,
  largestStreamId,
} from './constants.ts';
import { type ControlHost, ControlFrames, drainPing, keepalivePing } from './control-frames.ts';
import { closedError, connectionError, Http2Error } from './errors.ts';
import { ConnectionReceiveWindow, type ReceiveBudget, sharedReceiveBudget } from './flow-control.ts';
import { FrameParser, type FrameSink } from './frame-parser.ts';
import { HeadReceiver, type RequestHandler } from './head-receiver.ts';
import { HeadSender } from './head-sender.ts';
import { Keepalive } from './keepalive.ts';
import { FloodGuard, type Http2Limits, type Http2Role, resolveHttp2Limits } from './limits.ts';
import { Outbox } from './outbox.ts';
import { encodeSettings, initialPeerSettings, type PeerSettings } from './settings.ts';
import { StreamTable } from './stream-table.ts';
import { Http2Stream, streamError, type StreamHandler, type StreamHost } from './stream.ts';
import { Timers } from './timers.ts';

/** The owner of a session. Callbacks never throw. */
export interface SessionHandler extends RequestHandler {
  /** The peer's first SETTINGS arrived: the session is usable. */
  onReady?(): void;
  /** The peer is going away, or its stream limit changed, or a stream ended: `canOpen` may have changed. */
  onChange?(): void;
  /** The peer broke the protocol, or floods: the session ends. So many streams end with it, and hear of it themselves. */
  onBroken?(error: Http2Error, streamCount: number): void;
  /** The session is over and the channel closed. Exactly once, last. */
  onClose?(error?: Error): void;
}

export interface Http2SessionOptions {
  readonly role: Http2Role;
  /** Not read from yet. The session is its only reader and writer. */
  readonly channel: ByteChannel;
  readonly handler: SessionHandler;
  readonly limits?: Partial<Http2Limits>;
  readonly clock?: Clock;
  readonly budget?: ReceiveBudget;
}

/** Some clients widen the window of each stream that they open. */
const updatesAStream = 2;
/** As much as one read of a bulk flow brings; a larger frame saves nothing more. */
const largestSentFrame = 256 * 1024;
/** How long a graceful shutdown waits for that round trip. */
const drainPingTimeoutMs = 1_000;

export class Http2Session implements ChannelReader, FrameSink, StreamHost, ControlHost {
  readonly role: Http2Role;
  /** Streams never keep what they are lent. */
  readonly neverKeeps: boolean = true;
  readonly outbox: Outbox;
  readonly receiveWindow: ConnectionReceiveWindow;
  readonly #channel: ByteChannel;
  readonly #handler: SessionHandler;
  readonly #limits: Http2Limits;
  readonly #parser: FrameParser;
  readonly #headSender: HeadSender;
  readonly #headReceiver: HeadReceiver;
  readonly #controlFrames: ControlFrames;
  readonly #flood: FloodGuard;
  readonly #keepalive: Keepalive;
  readonly #streams: StreamTable;
  readonly #peer: PeerSettings = initialPeerSettings();
  #sendFrameSize: number = defaultMaxFrameSize;
  #ready = false;
  /** The stream of the DATA frame under way; undefined when its bytes go nowhere. */
  #dataStream: Http2Stream | undefined;
  /** So much padding would be all of the DATA frame under way, which is then as good as empty; -1: it ends its stream. */
  #emptyWithPadding = -1;
  #draining = false;
  /** Server: the final GOAWAY is out. */
  #drained = false;
  /** Streams above it are not taken any more (after the final GOAWAY). */
  #lastAcceptedStreamId = largestStreamId;
  #peerGoingAway = false;
  #ending = false;
  #closed = false;
  #error: Error | undefined;
  readonly #timers: Timers;
  #cancelSettingsTimeout: (() => void) | undefined;

  constructor(options: Http2SessionOptions) {
    const { role, channel, handler, clock = systemClock, budget = sharedReceiveBudget } = options;
    const limits = resolveHttp2Limits(role, options.limits);
    this.role = role;
    this.#channel = channel;
    this.#handler = handler;
    this.#limits = limits;
    this.#streams = new StreamTable(role);
    this.#timers = new Timers(clock);
    this.outbox = new Outbox(channel);
    this.#headSender = new HeadSender(this.outbox);
    this.receiveWindow = new ConnectionReceiveWindow({
      limits,
      budget,
      clock,
      sendUpdate: (increment) => this.outbox.frameOfUint32(frameType.windowUpdate, 0, increment),
    });
    this.#parser = new FrameParser({ sink: this, maxFrameSize: limits.maxFrameSize, expectPreface: role === 'server' });
    this.#flood = new FloodGuard(limits, clock);
    this.#headReceiver = new HeadReceiver({
      limits,
      handler,
      streams: this.#streams,
      flood: this.#flood,
      host: this,
      takesRequest: (streamId) => !this.#ending && streamId <= this.#lastAcceptedStreamId,
      createStream: (streamId, streamHandler) => this.#createStream(streamId, streamHandler),
      resetStream: (stream, error) => this.resetStream(stream, error),
      onHeadForNoStream: (streamId) => this.#onFrameForNoStream(streamId, 'HEADERS'),
    });
    this.#keepalive = new Keepalive({
      clock,
      intervalMs: limits.pingIntervalMs,
      timeoutMs: limits.pingTimeoutMs,
      sendPing: () => this.outbox.frameOf(frameType.ping, 0, 0, keepalivePing),
      onTimeout: () => this.close(connectionError(errorCode.noError, 'Peer did not answer PING in time')),
    });
    this.#controlFrames = new ControlFrames({
      role,
      host: this,
      streams: this.#streams,
      outbox: this.outbox,
      headSender: this.#headSender,
      keepalive: this.#keepalive,
      flood: this.#flood,
      peer: this.#peer,
    });
  }

  /** Sends preface and settings and starts to read. Once. */
  start(): void {
    const { outbox, role } = this;
    if (role === 'client') outbox.raw(connectionPreface);
    outbox.frameOf(frameType.settings, 0, 0, encodeSettings(this.#limits, role));
    const increment = this.#limits.connectionWindow - defaultWindowSize;
    if (increment > 0) outbox.frameOfUint32(frameType.windowUpdate, 0, increment);
    this.#cancelSettingsTimeout = this.#timers.after(this.#limits.settingsAckTimeoutMs, () => {
      this.close(connectionError(errorCode.settingsTimeout, 'Peer did not acknowledge SETTINGS in time'));
    });
    this.#keepalive.start();
    this.#channel.read(this);
  }

  /** Client: whether `openStream` may be called now. */
  get canOpen(): boolean {
    return this.usable && this.#streams.size < this.#peer.maxConcurrentStreams;
  }

  /** Whether the session takes, or will take, new streams: settings are there and nobody is going away. */
  get usable(): boolean {
    return this.#ready && !this.#draining && !this.#peerGoingAway && !this.#ending && !this.#streams.exhausted;
  }

  get activeStreams(): number {
    return this.#streams.size;
  }

  /** The peer's SETTINGS_MAX_CONCURRENT_STREAMS. */
  get peerMaxConcurrentStreams(): number {
    return this.#peer.maxConcurrentStreams;
  }

  /** The peer is a server that takes extended CONNECT (RFC 8441). */
  get peerTakesExtendedConnect(): boolean {
    return this.#peer.extendedConnect;
  }

  get sendFrameSize(): number {
    return this.#sendFrameSize;
  }

  /** Client: sends a request head. Only when `canOpen`. */
  openStream(headers: HeaderList, endStream: boolean, handler: StreamHandler): Http2Stream {
    if (this.role !== 'client' || !this.canOpen) throw new Error('This session cannot open a stream now');
    const stream = this.#createStream(this.#streams.takeId(), handler);
    stream.sendHeaders(headers, endStream);
    return stream;
  }

  /** Takes no new streams, lets the running ones end, then closes. Server: two GOAWAYs, so that none in flight is lost. */
  drain(): void {
    if (this.#draining || this.#ending) return;
    this.#draining = true;
    if (this.role === 'server') {
      this.#writeGoaway(largestStreamId, errorCode.noError);
      this.outbox.frameOf(frameType.ping, 0, 0, drainPing);
      this.#timers.after(drainPingTimeoutMs, () => this.#finishDrain());
    } else {
      this.#writeGoaway(0, errorCode.noError);
      this.#endIfIdle();
    }
  }

  /** Ends now: streams fail with `error`, the peer gets GOAWAY. Idempotent. */
  close(error?: Error): void {
    if (this.#ending || this.#closed) return;
    const wireCode = error instanceof Http2Error ? error.wireCode : errorCode.noError;
    this.#error = error;
    if (error instanceof Http2Error && wireCode !== errorCode.noError) {
      this.#handler.onBroken?.(error, this.#streams.size);
    }
    this.#writeGoaway(this.#streams.lastPeerId, wireCode, error instanceof Http2Error ? error.message : '');
    this.#streams.failAbove(0, error ?? closedError());
    this.#end();
  }

  // The channel's reader.

  onData(bytes: Uint8Array): boolean {
    this.#keepalive.active = true;
    this.outbox.flushEarly();
    try {
      this.#parser.parse(bytes);
    } catch (error) {
      if (!(error instanceof Http2Error)) throw error;
      this.close(error);
    }
    if (this.outbox.stagedBytes > this.#limits.maxUnreadBytes) {
      this.close(connectionError(errorCode.enhanceYourCalm, 'Peer does not read the answers that it asks for'));
    }
    // What waits for a stream's reader counts in that stream's window. A channel with a window of its own (a tunnel) goes on.
    this.#channel.credit(bytes.length);
    return false;
  }

  onEnd(): void {
    this.#parser.stop();
    if (this.#ending) {
      this.outbox.end();
      return;
    }
    this.#streams.failAbove(0, closedError());
    this.#end();
  }

  onDrain(): void {
    this.outbox.onDrain();
  }

  onClose(error?: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ending = true;
    this.#parser.stop();
    this.#keepalive.stop();
    this.#timers.cancelAll();
    this.#streams.failAbove(0, closedError(error));
    this.outbox.close();
    this.receiveWindow.dispose();
    this.#handler.onClose?.(this.#error ?? error);
  }

  // The parser's sink.

  onDataFrame(streamId: number, length: number, flags: number): void {
    this.#expectFrame(frameType.data, streamId);
    if (streamId === 0) throw connectionError(errorCode.protocolError, 'Peer sent DATA on stream 0');
    if (!this.receiveWindow.receive(length)) {
      throw connectionError(errorCode.flowControlError, 'Peer overran the window of the connection');
    }
    const ends = (flags & frameFlag.endStream) !== 0;
    if (length === 0 && !ends) this.#flood.charge('empty DATA frames');
    this.#emptyWithPadding = ends ? -1 : length;
    const stream = this.#streams.get(streamId);
    this.#dataStream = stream;
    if (stream === undefined) {
      this.#onFrameForNoStream(streamId, 'DATA');
      return;
    }
    const error =
      stream.receiveEnded || !stream.headSeen
        ? streamError(errorCode.streamClosed, 'Peer sent DATA where none may be')
        : stream.receiveFrame(length);
    if (error) this.resetStream(stream, error);
  }

  onDataBytes(bytes: Uint8Array): void {
    this.#dataStream?.receiveData(bytes);
  }

  onDataPadding(byteCount: number): void {
    if (byteCount === this.#emptyWithPadding) this.#flood.charge('empty DATA frames');
    this.#dataStream?.credit(byteCount);
  }

  onDataFrameEnd(flags: number): void {
    const stream = this.#dataStream;
    this.#dataStream = undefined;
    if ((flags & frameFlag.endStream) !== 0) stream?.receiveEnd();
  }

  onFrame(type: number, flags: number, streamId: number, source: Uint8Array, start: number, end: number): void {
    this.#expectFrame(type, streamId);
    if (type === frameType.headers || type === frameType.continuation) {
      this.#headReceiver.onFrame(type, flags, streamId, source, start, end);
    } else this.#controlFrames.onFrame(type, flags, streamId, source, start, end);
  }

  // What streams ask of the session.

  writeHeaders(streamId: number, headers: HeaderList, endStream: boolean): void {
    this.#headSender.send(streamId, headers, endStream, this.#sendFrameSize);
  }

  writeReset(streamId: number, wireCode: number): void {
    this.#streams.noteReset(streamId);
    this.outbox.frameOfUint32(frameType.rstStream, streamId, wireCode);
  }

  onAnswered(): void {
    if (this.role === 'server') this.#flood.forgive();
  }

  onStreamClosed(stream: Http2Stream): void {
    this.#streams.delete(stream.id);
    if (!stream.closedByReset) this.#streams.noteEnded(stream.id);
    if (this.#dataStream === stream) this.#dataStream = undefined;
    if (this.#draining || this.#peerGoingAway) this.#endIfIdle();
    this.#handler.onChange?.();
  }

  // What frames without a message ask of the session.

  onPeerFrameSize(): void {
    this.#sendFrameSize = Math.min(this.#peer.maxFrameSize, largestSentFrame);
  }

  onPeerSettings(): void {
    if (this.#ready) this.#flood.charge('SETTINGS frames');
    else {
      this.#ready = true;
      this.#handler.onReady?.();
    }
    this.#handler.onChange?.();
  }

  onSettingsAcknowledged(): boolean {
    if (!this.#ready) throw connectionError(errorCode.protocolError, 'Peer did not start with SETTINGS');
    const cancel = this.#cancelSettingsTimeout;
    this.#cancelSettingsTimeout = undefined;
    cancel?.();
    return cancel !== undefined;
  }

  onDrainAnswered(): boolean {
    if (!this.#draining || this.#drained) return false;
    this.#finishDrain();
    return true;
  }

  onPeerGoingAway(): boolean {
    const isNews = !this.#peerGoingAway;
    this.#peerGoingAway = true;
    return isNews;
  }

  onPeerGone(): void {
    this.#handler.onChange?.();
    this.#endIfIdle();
  }

  /** A stream error that we found: RST_STREAM, and the peer is charged for it. */
  resetStream(stream: Http2Stream, error: Http2Error): void {
    this.#flood.charge('stream errors');
    stream.reset(error.wireCode, error);
  }

  // Frames.

  /** The first frame is SETTINGS; a header block is not interrupted. */
  #expectFrame(type: number, streamId: number): void {
    if (!this.#ready && type !== frameType.settings) {
      throw connectionError(errorCode.protocolError, 'Peer did not start with SETTINGS');
    }
    this.#headReceiver.expectFrame(type, streamId);
  }

  /** DATA or HEADERS for a stream that is not there: ours to ignore after a reset, else an error (section 5.1). */
  #onFrameForNoStream(streamId: number, what: string): void {
    const streams = this.#streams;
    if (streams.isIdle(streamId)) throw connectionError(errorCode.protocolError, `Peer sent ${what} on an idle stream`);
    if (streamId > this.#lastAcceptedStreamId || streams.wasReset(streamId)) return;
    if (streams.wasSkipped(streamId))
      throw connectionError(errorCode.protocolError, `Peer sent ${what} on a stream that it had passed over`);
    if (streams.wasEnded(streamId))
      throw connectionError(errorCode.streamClosed, `Peer sent ${what} on a stream that it had ended`);
    this.#flood.charge('frames on closed streams');
    this.writeReset(streamId, errorCode.streamClosed);
  }

  // Life.

  #createStream(id: number, handler: StreamHandler): Http2Stream {
    const stream = new Http2Stream({ host: this, id, sendWindow: this.#peer.initialWindowSize, handler });
    this.#streams.add(stream);
    this.outbox.expectedUpdates += updatesAStream;
    return stream;
  }

  #writeGoaway(lastStreamId: number, wireCode: number, debug = ''): void {
    const at = this.outbox.frame(frameType.goaway, 0, 0, 8 + debug.length);
    const { buffer } = this.outbox;
    buffer.writeUInt32BE(lastStreamId, at);
    buffer.writeUInt32BE(wireCode, at + 4);
    buffer.write(debug, at + 8, 'latin1');
  }

  #finishDrain(): void {
    if (this.#ending || this.#drained) return;
    this.#drained = true;
    this.#lastAcceptedStreamId = this.#streams.lastPeerId;
    this.#writeGoaway(this.#streams.lastPeerId, errorCode.noError);
    this.#endIfIdle();
  }

  #endIfIdle(): void {
    if (this.#streams.size > 0 || this.#ending) return;
    const drained = this.role === 'client' || this.#drained;
    if (this.#peerGoingAway || (this.#draining && drained)) this.#end();
  }

  /** Half-closes once everything staged is sent; a peer that does not follow is cut off. */
  #end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#parser.stop();
    this.#keepalive.stop();
    this.outbox.end();
    this.#timers.after(this.#limits.lingerMs, () => this.#channel.reset(this.#error));
    this.#handler.onChange?.();
  }
}
