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

/** One filter of TCP connections under one configuration. Callbacks never throw. */
export interface TcpFilter {
  readonly name: string;
  /** Before anybody is connected to. */
  onConnection?(run: TcpRun): TcpRefusal | undefined;
  /** The configuration changed: whether a connection that was let in by another one may go on. */
  review?(connection: DownstreamConnection): TcpRefusal | undefined;
  /** The connection is over, whatever became of it. Counters of live connections are read from the run until then. */
  onFinish?(run: TcpRun): void;
}
