/** One TCP connection through the proxy: what filters see of it. `tcp-forwarding.ts` drives it. */
import type { DestinationService } from '../../api/l7/index.ts';
import type { UpstreamFailure, UpstreamHost } from '../upstream/upstream.ts';
import type { DownstreamConnection, RunTimes } from './http-run.ts';

export interface TcpRun {
  readonly connection: DownstreamConnection;
  readonly service: DestinationService | undefined;
  readonly times: RunTimes;
  /** Name of the rule; "" before it is known. */
  readonly routeName: string;
  readonly host: UpstreamHost | undefined;
  readonly backend: string | undefined;
  readonly failure: UpstreamFailure | undefined;
  /** So far. */
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly flags: Set<string>;
  readonly details: string;
  readonly reason: string;
}

/** Why a connection is refused. */
export interface TcpRefusal {
  readonly flag: string;
  readonly details: string;
  readonly reason: string;
}

/** Undefined: go on. A promise, of who has to ask first. */
export type TcpVerdict = TcpRefusal | undefined | Promise<TcpRefusal | undefined>;

/**
 * One filter of TCP connections under one configuration. Callbacks never throw; a rejection refuses the connection. Once `signal`
 * is aborted the connection is over, and nobody heeds what they say.
 */
export interface TcpFilter {
  readonly name: string;
  /** Before anybody is connected to: no byte of the client goes on until all filters have let it. */
  onConnection?(run: TcpRun, signal: AbortSignal): TcpVerdict;
  /** The configuration changed: whether a connection that was let in by another one may go on. It does until there is a verdict. */
  review?(connection: DownstreamConnection, signal: AbortSignal): TcpVerdict;
  /** The connection is over, whatever became of it. Counters of live connections are read from the run until then. */
  onFinish?(run: TcpRun): void;
}
