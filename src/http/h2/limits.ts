/** What a session allows its peer: settings, windows, timeouts, and the defence against floods. */
import type { Clock } from '../../lib/clock.ts';
import { defaultMaxFrameSize, defaultWindowSize, errorCode } from './constants.ts';
import { connectionError } from './errors.ts';

export type Http2Role = 'client' | 'server';

export interface Http2Limits {
  /** SETTINGS_HEADER_TABLE_SIZE. */
  readonly headerTableSize: number;
  /** SETTINGS_MAX_HEADER_LIST_SIZE, enforced on what arrives. */
  readonly maxHeaderListSize: number;
  /** SETTINGS_MAX_CONCURRENT_STREAMS; a server refuses more. */
  readonly maxConcurrentStreams: number;
  /** Server: SETTINGS_ENABLE_CONNECT_PROTOCOL, requests with `:protocol` are taken (RFC 8441). */
  readonly extendedConnect: boolean;
  /** SETTINGS_MAX_FRAME_SIZE. */
  readonly maxFrameSize: number;
  /** SETTINGS_INITIAL_WINDOW_SIZE: at least 65,535, so that a peer that has not seen it yet breaks nothing. */
  readonly initialStreamWindow: number;
  /** A stream's window grows up to this while its reader keeps up. */
  readonly maxStreamWindow: number;
  readonly connectionWindow: number;
  /** Bytes received and not yet credited by readers, over all streams, up to which the connection is credited at once. */
  readonly sessionHeldBytes: number;
  /** By how much all streams together may grow beyond their initial windows. */
  readonly sessionWindowGrowth: number;
  /** Answers, resets and the like that wait for a peer that does not read them: more ends the connection. Windows do not hold them back. */
  readonly maxUnreadBytes: number;
  readonly settingsAckTimeoutMs: number;
  /** Quiet time before a PING, and how long its answer may take; 0 = no keepalive. */
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  /** How long an ended session waits for the peer to close its side. */
  readonly lingerMs: number;
  /** Frames and resets that cost us more than the peer: so many at once, so many a second. */
  readonly floodBurst: number;
  readonly floodPerSecond: number;
}

const kib = 1024;
const mib = 1024 * kib;

/**
 * Defaults. The windows follow performance rule 9: all initial windows plus all growth fit into `sessionHeldBytes` for up to 128
 * streams, so that stalled readers never starve the other streams of their connection.
 */
export function defaultHttp2Limits(role: Http2Role): Http2Limits {
  return {
    headerTableSize: 4096,
    maxHeaderListSize: role === 'server' ? 64 * kib : 16 * kib,
    maxConcurrentStreams: 200,
    extendedConnect: false,
    maxFrameSize: defaultMaxFrameSize,
    initialStreamWindow: 64 * kib,
    maxStreamWindow: mib,
    connectionWindow: 4 * mib,
    sessionHeldBytes: 16 * mib,
    sessionWindowGrowth: 8 * mib,
    maxUnreadBytes: 8 * mib,
    settingsAckTimeoutMs: 10_000,
    pingIntervalMs: 10_000,
    pingTimeoutMs: 20_000,
    lingerMs: 2_000,
    floodBurst: 1_000,
    floodPerSecond: 100,
  };
}

export function resolveHttp2Limits(role: Http2Role, changes: Partial<Http2Limits> = {}): Http2Limits {
  const limits = { ...defaultHttp2Limits(role), ...changes };
  if (limits.initialStreamWindow < defaultWindowSize) throw new Error('initialStreamWindow is below 65,535');
  if (limits.maxFrameSize < defaultMaxFrameSize) throw new Error('maxFrameSize is below 16,384');
  return limits;
}

/** One reset or the like for so many answers is no flood, at whatever rate: 4. */
const forgivenByAnswer = 0.25;

/**
 * One bucket for everything cheap to send and dear to receive: PING, SETTINGS, PRIORITY, unknown and empty frames, acknowledgements and
 * WINDOW_UPDATEs of nothing that was sent, and streams reset before they were answered ("rapid reset", CVE-2023-44487). The hot path
 * never touches it.
 */
export class FloodGuard {
  readonly #burst: number;
  readonly #perMs: number;
  readonly #clock: Clock;
  #level = 0;
  #lastMs: number;

  constructor(limits: Pick<Http2Limits, 'floodBurst' | 'floodPerSecond'>, clock: Clock) {
    this.#burst = limits.floodBurst;
    this.#perMs = limits.floodPerSecond / 1000;
    this.#clock = clock;
    this.#lastMs = clock.nowMs();
  }

  /** A request was answered: a busy client may give up some of many. */
  forgive(): void {
    if (this.#level > 0) this.#level = Math.max(0, this.#level - forgivenByAnswer);
  }

  /** Throws `h2.enhance-your-calm` (connection) when the peer overdoes it. */
  charge(what: string): void {
    this.#level++;
    if (this.#level < this.#burst / 2) return;
    const nowMs = this.#clock.nowMs();
    this.#level = Math.max(0, this.#level - (nowMs - this.#lastMs) * this.#perMs);
    this.#lastMs = nowMs;
    if (this.#level > this.#burst) throw connectionError(errorCode.enhanceYourCalm, `Peer sends too many ${what}`);
  }
}
