/** What an HTTP/1.1 connection allows its peer. */

export interface Http1Limits {
  /** Start line and fields of one message, with their line ends. */
  readonly maxHeadBytes: number;
  readonly maxFields: number;
  /** A connection without a request ends after so long; 0: never. Of servers. */
  readonly idleTimeoutMs: number;
  /** From the first byte of a head to its last; 0: any time. */
  readonly headTimeoutMs: number;
  /** How long we still read, and drop, after we have ended our side, so that the peer gets to see what we said. */
  readonly lingerMs: number;
  /**
   * A client that has ended its side may still wait for the answer, or be gone: TCP does not tell. Its request is given up when so long
   * nothing of the answer could be sent. Of servers; 0: never.
   */
  readonly halfClosedTimeoutMs: number;
  /** While a server drains: a connection that was quiet for so long ends; one that was not may have a request under way. */
  readonly drainQuietMs: number;
  /** Body bytes delivered and not credited, above which the channel is paused. */
  readonly maxUncreditedBytes: number;
  /** Of a request that was answered before it was whole: so much is read and dropped to keep the connection, else it ends. */
  readonly maxDroppedBytes: number;
  /** By how much the framing of a chunked body may exceed the body. */
  readonly maxChunkOverheadBytes: number;
  /** Informational responses before one final response. */
  readonly maxInformational: number;
}

const kib = 1024;

/** Sizes and the idle timeout are those that Istio's proxies show (ambient-l7, 15.1). */
export const defaultHttp1Limits: Http1Limits = {
  maxHeadBytes: 60 * kib,
  maxFields: 100,
  idleTimeoutMs: 3_600_000,
  headTimeoutMs: 60_000,
  lingerMs: 1_000,
  halfClosedTimeoutMs: 60_000,
  drainQuietMs: 1_000,
  maxUncreditedBytes: 128 * kib,
  maxDroppedBytes: 64 * kib,
  maxChunkOverheadBytes: 16 * kib,
  maxInformational: 32,
};
