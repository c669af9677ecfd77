/** HTTP filters: each a folder under `filters/`, built once a configuration, run once a request. */
import type { HeaderList } from '../../http/header-list.ts';
import type { RequestHead, ResponseHead } from '../../http/message.ts';
import type { PolicyAttachment } from '../../api/l7/index.ts';
import type { RequestFacts } from '../../policy/http-facts.ts';
import type { ProxySnapshot } from '../config/snapshot.ts';
import type { ProxyServices } from '../proxy-services.ts';
import type { DownstreamConnection, HttpRun } from './http-run.ts';
import type { TcpFilter } from './tcp-run.ts';

/** An answer that the proxy gives itself. */
export interface LocalReply {
  readonly status: number;
  readonly headers?: HeaderList;
  readonly body?: string | Uint8Array;
  /** Text; default `text/plain`. */
  readonly contentType?: string;
  /** Envoy's response flag, as in `RL`, `UAEX`; "" for none. */
  readonly flag: string;
  /** For the access log (RESPONSE_CODE_DETAILS), as in `rbac_access_denied_matched_policy[ns/deny]`. */
  readonly details: string;
  /** For people: access log and the reason header, in words. */
  readonly reason: string;
}

/** Undefined: go on. */
export type FilterResult = LocalReply | undefined | Promise<LocalReply | undefined>;

/** A request that became a tunnel (WebSocket), as filters look at it again. */
export interface LiveTunnel extends RequestFacts {
  readonly connection: DownstreamConnection;
  /** As filters left it, before its rule changed it. */
  readonly request: RequestHead;
  /** As it came, before any filter changed it. */
  readonly arrived: RequestHead;
  /** Whose tunnel it is. */
  readonly run: HttpRun;
}

/**
 * One filter under one configuration, shared by all requests of its place. What a callback throws or rejects with refuses the request
 * (500), ends its tunnel, or is only told of once the request is over.
 */
export interface HttpFilter {
  readonly name: string;
  /** Before the request goes on. The route is there (`run.route`); after changes that it depends on, call `run.reroute()`. */
  onRequest?(run: HttpRun): FilterResult;
  /** Before the final response head goes on, in reverse order of the chain; it may change the head. */
  onResponse?(run: HttpRun, head: ResponseHead): void | Promise<void>;
  /**
   * The configuration changed: whether a tunnel that was let in by another one may go on. It does until there is a verdict. Once
   * `signal` is aborted it is over, and nobody heeds what the filter says.
   */
  review?(tunnel: LiveTunnel, signal: AbortSignal): FilterResult;
  /** The exchange is over, whatever became of it. */
  onFinish?(run: HttpRun): void;
  /** No configuration has it any more; requests under way may still come. */
  close?(): void;
}

/** What a filter is built for: a listener together with what is behind it. */
export interface FilterPlace {
  /** The policies that apply, listener first, then the service, names resolved by `snapshot`. */
  readonly policies: PolicyAttachment;
  /** Service that the request was addressed to; absent at a gateway. */
  readonly service: string | undefined;
  readonly snapshot: ProxySnapshot;
  readonly services: ProxyServices;
}

export interface FilterKind {
  readonly name: string;
  /** Kinds of policies that `build` reads, besides settings and providers: it is built anew when one of them changes. Absent: all. */
  readonly reads?: readonly (keyof PolicyAttachment)[];
  /** Undefined: nothing to do here, the filter is not in the chain. Throws a ConfigError naming the resource at fault. */
  build(place: FilterPlace): HttpFilter | undefined;
  /** Its part in connections that are no HTTP; absent, or undefined: none. */
  buildTcp?(place: FilterPlace): TcpFilter | undefined;
}
