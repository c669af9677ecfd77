/** Frames that arrive and carry no message: SETTINGS, PING, GOAWAY, WINDOW_UPDATE, RST_STREAM, PRIORITY (RFC 9113 section 6). */
import { errorCode, frameFlag, frameType, largestWindowSize } from './constants.ts';
import { connectionError, errorCodeName, Http2Error } from './errors.ts';
import {
  checkPing,
  checkSettings,
  priorityProblem,
  readGoaway,
  readReset,
  readWindowUpdate,
} from './frame-payloads.ts';
import type { HeadSender } from './head-sender.ts';
import type { Keepalive } from './keepalive.ts';
import type { FloodGuard, Http2Role } from './limits.ts';
import type { Outbox } from './outbox.ts';
import { applySettings, type PeerSettings } from './settings.ts';
import type { StreamTable } from './stream-table.ts';
import { type Http2Stream, streamError } from './stream.ts';

/** What the session does about them. */
export interface ControlHost {
  /** The peer's settings have changed: frames keep to their size from now on. */
  onPeerFrameSize(): void;
  /** All that follows from the peer's settings is done, and they are acknowledged. */
  onPeerSettings(): void;
  /** The peer has acknowledged ours; false when it had done so before. */
  onSettingsAcknowledged(): boolean;
  /** The PING of a drain came back; false when nobody waits for it. */
  onDrainAnswered(): boolean;
  /** The peer is going away; false when it had said so before. */
  onPeerGoingAway(): boolean;
  /** The streams that it did not process have failed. */
  onPeerGone(): void;
  /** Ends a stream with an error of the peer's, and charges it. */
  resetStream(stream: Http2Stream, error: Http2Error): void;
  writeReset(streamId: number, wireCode: number): void;
}

export interface ControlFramesOptions {
  readonly role: Http2Role;
  readonly host: ControlHost;
  readonly streams: StreamTable;
  readonly outbox: Outbox;
  readonly headSender: HeadSender;
  readonly keepalive: Keepalive;
  readonly flood: FloodGuard;
  /** Kept up to date. */
  readonly peer: PeerSettings;
}

/** Our PINGs: keepalive, and the round trip of a graceful shutdown. */
export const keepalivePing: Uint8Array = Buffer.from('ambit-ka');
export const drainPing: Uint8Array = Buffer.from('ambit-gw');

/** The errors of a connection are thrown, those of a stream reset it. */
export class ControlFrames {
  readonly #options: ControlFramesOptions;
  readonly #streams: StreamTable;
  readonly #outbox: Outbox;
  readonly #flood: FloodGuard;

  constructor(options: ControlFramesOptions) {
    this.#options = options;
    this.#streams = options.streams;
    this.#outbox = options.outbox;
    this.#flood = options.flood;
  }

  /** Any frame but DATA, HEADERS and CONTINUATION, where it may come. */
  onFrame(type: number, flags: number, streamId: number, source: Uint8Array, start: number, end: number): void {
    switch (type) {
      case frameType.windowUpdate:
        this.#onWindowUpdate(streamId, source, start, end);
        break;
      case frameType.rstStream:
        this.#onReset(streamId, source, start, end);
        break;
      case frameType.settings:
        this.#onSettings(flags, streamId, source, start, end);
        break;
      case frameType.ping:
        this.#onPing(flags, streamId, source, start, end);
        break;
      case frameType.goaway:
        this.#onGoaway(streamId, source, start, end);
        break;
      case frameType.priority:
        this.#onPriority(streamId, source, start, end);
        break;
      case frameType.pushPromise:
        throw connectionError(errorCode.protocolError, 'Peer sent PUSH_PROMISE, which is off');
      default:
        this.#flood.charge('unknown frames');
    }
  }

  #onWindowUpdate(streamId: number, source: Uint8Array, start: number, end: number): void {
    const increment = readWindowUpdate(source, start, end);
    const outbox = this.#outbox;
    if (--outbox.expectedUpdates < 0) {
      outbox.expectedUpdates = 0;
      this.#flood.charge('WINDOW_UPDATE frames');
    }
    if (streamId === 0) {
      if (increment === 0) throw connectionError(errorCode.protocolError, 'Peer sent WINDOW_UPDATE of 0');
      if (outbox.connectionWindow + increment > largestWindowSize) {
        throw connectionError(errorCode.flowControlError, 'Peer let the window of the connection overflow');
      }
      outbox.openConnectionWindow(increment);
      return;
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      if (this.#streams.isIdle(streamId)) {
        throw connectionError(errorCode.protocolError, 'Peer sent WINDOW_UPDATE on an idle stream');
      }
      return;
    }
    const { host } = this.#options;
    if (increment === 0) {
      host.resetStream(stream, streamError(errorCode.protocolError, 'Peer sent WINDOW_UPDATE of 0'));
    } else if (!stream.changeSendWindow(increment)) {
      host.resetStream(stream, streamError(errorCode.flowControlError, 'Peer let the window of a stream overflow'));
    }
  }

  #onReset(streamId: number, source: Uint8Array, start: number, end: number): void {
    const wireCode = readReset(streamId, source, start, end);
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      if (this.#streams.isIdle(streamId)) {
        throw connectionError(errorCode.protocolError, 'Peer sent RST_STREAM on an idle stream');
      }
      return;
    }
    const { role } = this.#options;
    if (role === 'server' && !stream.answered) this.#flood.charge('resets of requests under way');
    stream.fail(
      new Http2Error(`Peer reset the stream: ${errorCodeName(wireCode)}`, {
        wireCode,
        scope: 'stream',
        blame: role === 'client' ? 'upstream' : 'downstream',
        remote: true,
      }),
    );
  }

  #onSettings(flags: number, streamId: number, source: Uint8Array, start: number, end: number): void {
    checkSettings(streamId, flags, end - start);
    const { role, host, peer, headSender } = this.#options;
    if ((flags & frameFlag.ack) !== 0) {
      if (!host.onSettingsAcknowledged()) this.#flood.charge('SETTINGS acknowledgements');
      return;
    }
    const windowBefore = peer.initialWindowSize;
    applySettings(peer, source, start, end, role === 'client' ? 'server' : 'client');
    headSender.setPeerTableSize(peer.headerTableSize);
    host.onPeerFrameSize();
    this.#outbox.frame(frameType.settings, frameFlag.ack, 0, 0);
    const change = peer.initialWindowSize - windowBefore;
    if (change !== 0) {
      for (const stream of this.#streams.values()) {
        if (stream.changeSendWindow(change)) continue;
        throw connectionError(errorCode.flowControlError, 'Peer let a window overflow by SETTINGS');
      }
    }
    host.onPeerSettings();
  }

  #onPing(flags: number, streamId: number, source: Uint8Array, start: number, end: number): void {
    checkPing(streamId, end - start);
    if ((flags & frameFlag.ack) === 0) {
      this.#flood.charge('PING frames');
      this.#outbox.frameOf(frameType.ping, frameFlag.ack, 0, source, start, end);
      return;
    }
    const { keepalive, host } = this.#options;
    if (isPayload(keepalivePing, source, start) && keepalive.onPong()) return;
    if (isPayload(drainPing, source, start) && host.onDrainAnswered()) return;
    this.#flood.charge('PING acknowledgements');
  }

  #onGoaway(streamId: number, source: Uint8Array, start: number, end: number): void {
    const { lastStreamId, wireCode } = readGoaway(streamId, source, start, end);
    const { role, host } = this.#options;
    if (!host.onPeerGoingAway()) this.#flood.charge('GOAWAY frames');
    if (role === 'client') {
      // Those above were not processed: safe to try elsewhere, hence the code.
      const error = new Http2Error(`Peer is going away: ${errorCodeName(wireCode)}`, {
        wireCode: errorCode.refusedStream,
        scope: 'stream',
        blame: 'upstream',
        remote: true,
      });
      this.#streams.failAbove(lastStreamId, error);
    }
    host.onPeerGone();
  }

  #onPriority(streamId: number, source: Uint8Array, start: number, end: number): void {
    const wireCode = priorityProblem(streamId, source, start, end);
    this.#flood.charge('PRIORITY frames');
    if (wireCode === undefined) return;
    this.#options.host.writeReset(streamId, wireCode);
    this.#streams.get(streamId)?.fail(streamError(wireCode, 'Peer sent a malformed PRIORITY'));
  }
}

function isPayload(ours: Uint8Array, source: Uint8Array, start: number): boolean {
  for (let i = 0; i < ours.length; i++) if (source[start + i] !== ours[i]) return false;
  return true;
}
