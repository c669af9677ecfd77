/** One request from its head to its end: what becomes of it, and what is known of it by then. */
import type { DestinationService, HttpRule, WeightedDestination } from '../../api/l7/index.ts';
import type { WorkloadUid } from '../../api/names.ts';
import type { PickedRule } from '../../decision/routes/index.ts';
import { HeaderList } from '../../http/header-list.ts';
import type { RequestHead, ResponseHead, ServerExchange, ServerExchangeReader } from '../../http/message.ts';
import { clientOf } from '../own-calls.ts';
import type { UpstreamFailure, UpstreamHost } from '../upstream/upstream.ts';
import type { Attempt } from './attempt.ts';
import { chooseDestination } from './choose-destination.ts';
import { ClientAnswer } from './client-answer.ts';
import { noteClientEnd } from './client-end.ts';
import { enginePart, exceptionReply, reportException } from './exceptions.ts';
import type { LocalReply } from './filter.ts';
import { filterAnswer, filterRequest, finishFilters, type ChainRun } from './filter-chain.ts';
import { Forwarding, type ForwardingOwner } from './forwarding.ts';
import { GrpcMessages } from './grpc-messages.ts';
import { changeResponseHeaders } from './header-changes.ts';
import type { DownstreamConnection, RunTimes, VerifiedToken } from './http-run.ts';
import { renderReply } from './local-reply.ts';
import { Mirrors } from './mirror.ts';
import { pickRoute } from './pick-route.ts';
import type { HttpPlace } from './place.ts';
import { RequestBody } from './request-body.ts';
import { requestIdOf } from './request-id.ts';
import { changeAnswer, changeRequest } from './rule-changes.ts';
import { replyOfRule, replyWithoutDestination } from './rule-reply.ts';
import { RunTunnel, type TunnelRun } from './run-tunnel.ts';

/** What the listener found out before the run. */
export interface RunOptions {
  readonly exchange: ServerExchange;
  readonly connection: DownstreamConnection;
  readonly place: HttpPlace;
  /** Path as the client sent it; `exchange.request.path` is normalised. */
  readonly originalPath: string;
  readonly remoteAddress: string;
  /** The request became a tunnel (WebSocket), or a tunnel ended. */
  readonly onTunnel?: (run: ActiveRun, isOpen: boolean) => void;
}

export class ActiveRun implements ChainRun, TunnelRun, ServerExchangeReader, ForwardingOwner {
  readonly connection: DownstreamConnection;
  readonly request: RequestHead;
  readonly originalPath: string;
  readonly originalAuthority: string;
  readonly remoteAddress: string;
  requestId: string;
  readonly times: RunTimes;
  readonly isGrpc: boolean;
  readonly requestMessages: GrpcMessages | undefined;
  readonly responseMessages: GrpcMessages | undefined;
  token: VerifiedToken | undefined;
  destination: WeightedDestination | undefined;
  host: UpstreamHost | undefined;
  backend: string | undefined;
  failure: UpstreamFailure | undefined;
  preferredBackend: string | undefined;
  preferredHost: WorkloadUid | undefined;
  responseDetails = '';
  reason = '';
  responseStatus = 0;
  responseHead: ResponseHead | undefined;
  grpcStatus: string | undefined;
  attempts = 0;
  bytesReceived = 0;
  bytesSent = 0;
  upstreamBytesSent = 0;
  upstreamBytesReceived = 0;
  #state: Map<object, unknown> | undefined;
  #flags: Set<string> | undefined;
  readonly #onTunnel: RunOptions['onTunnel'];
  /** It asks to become one. */
  #tunnel: RunTunnel | undefined;
  readonly #exchange: ServerExchange;
  readonly #place: HttpPlace;
  readonly #body: RequestBody;
  readonly #answer: ClientAnswer;
  #picked: PickedRule | undefined;
  #forwarding: Forwarding | undefined;
  #mirrors: Mirrors | undefined;
  /** We ended it, not the client. */
  #gaveUp = false;
  #over = false;

  constructor(options: RunOptions) {
    const { exchange, connection, place, originalPath, remoteAddress } = options;
    const { request } = exchange;
    this.#onTunnel = options.onTunnel;
    this.#exchange = exchange;
    this.#place = place;
    this.connection = connection;
    this.request = request;
    this.originalPath = originalPath;
    this.originalAuthority = request.authority;
    this.remoteAddress = remoteAddress;
    this.requestId = requestIdOf(request);
    this.times = { startMs: Date.now(), start: performance.now(), upstreamStart: 0, firstResponseByte: 0, end: 0 };
    this.isGrpc = request.headers.get('content-type')?.startsWith('application/grpc') ?? false;
    this.requestMessages = this.isGrpc ? new GrpcMessages() : undefined;
    this.responseMessages = this.isGrpc ? new GrpcMessages() : undefined;
    this.#body = new RequestBody(exchange);
    this.#answer = new ClientAnswer(exchange);
  }

  start(): void {
    try {
      this.#exchange.read(this);
      this.reroute();
      if (this.request.upgrade !== undefined) this.#tunnel = new RunTunnel(this);
      filterRequest(this.#place.filters, 0, this);
    } catch (error) {
      this.onException(error);
    }
  }

  /** In place of `start`: answered so, whatever filters say of such requests; they hear of the answer and the end. */
  refuse(reply: LocalReply): void {
    try {
      this.#exchange.read(this);
      this.#reply(reply);
    } catch (error) {
      this.onException(error);
    }
  }

  /**
   * Something threw on the way of this request: it alone ends, answered 500 if no head has gone out. Filters have no say in that
   * answer: one of them may be what threw.
   */
  onException(error: unknown, part: string = enginePart): void {
    reportException(this.#place.services, part, error);
    if (this.#over) return;
    const reply = exceptionReply(part, error);
    this.responseDetails = reply.details;
    this.reason = reply.reason;
    this.#gaveUp = true;
    try {
      if (!this.#answer.isSent) {
        this.#send(this.#decide(reply));
        return;
      }
      this.#forwarding?.end();
    } catch (again) {
      reportException(this.#place.services, enginePart, again);
    }
    this.#reset(reply.reason);
  }

  /** Never throws. */
  #reset(reason: string): void {
    try {
      this.#exchange.reset(new Error(reason));
    } catch (error) {
      reportException(this.#place.services, enginePart, error);
    }
  }

  /** In place of `start`: the codec has refused it before anybody saw it; filters hear of the end alone. */
  endRefused({ status, flag, details, reason }: LocalReply): void {
    this.responseStatus = status;
    if (flag !== '') this.addFlag(flag);
    this.responseDetails = details;
    this.reason = reason;
    this.onClose();
  }

  get service(): DestinationService | undefined {
    return this.#place.service;
  }

  get route(): HttpRule | undefined {
    return this.#picked?.rule;
  }

  get state(): Map<object, unknown> {
    return (this.#state ??= new Map());
  }

  get flags(): ReadonlySet<string> {
    return this.#flags ?? noFlags;
  }

  addFlag(flag: string): void {
    (this.#flags ??= new Set()).add(flag);
  }

  reroute(): void {
    this.#picked = pickRoute(this.#place.routes, this);
  }

  async bufferBody(maxBytes: number): Promise<{ readonly bytes: Uint8Array; readonly whole: boolean }> {
    const { headers } = this.request;
    // We read it ourselves: the client need not wait for the backend's word.
    if (!this.#body.ended && headers.get('expect')?.toLowerCase() === '100-continue') {
      headers.remove('expect');
      this.#exchange.sendInformational({ status: 100, headers: new HeaderList() });
    }
    return this.#body.read(maxBytes);
  }

  /** The request as filters saw it. */
  get entered(): RequestHead {
    return this.#tunnel?.entered ?? this.request;
  }

  /** Whether it was let in by this configuration of its place. */
  isOf(place: HttpPlace): boolean {
    return this.#place === place;
  }

  /** The configuration changed while this is a tunnel: ends it when the filters of `place` would not let it in now. */
  review(place: HttpPlace): void {
    (this.#tunnel ??= new RunTunnel(this)).review(place.filters);
  }

  onTunnelRefused({ details, reason }: LocalReply): void {
    if (this.#over) return;
    this.responseDetails = details;
    this.reason = `not allowed any more: ${reason}`;
    this.#reset(this.reason);
  }

  // The client's side.

  onData(bytes: Uint8Array): void {
    this.bytesReceived += bytes.length;
    try {
      this.requestMessages?.push(bytes);
      this.#mirrors?.write(bytes);
      if (this.#forwarding) this.upstreamBytesSent += bytes.length;
      this.#body.onData(bytes);
    } catch (error) {
      this.onException(error);
    }
  }

  onEnd(trailers?: HeaderList): void {
    try {
      this.#mirrors?.end(trailers);
      this.#body.onEnd(trailers);
      this.#forwarding?.onRequestEnd();
    } catch (error) {
      this.onException(error);
    }
  }

  onDrain(): void {
    try {
      this.#answer.onDrain();
    } catch (error) {
      this.onException(error);
    }
  }

  onClose(error?: Error): void {
    if (this.#over) return;
    this.#over = true;
    if (this.responseStatus === 101) this.#onTunnel?.(this, false);
    this.#tunnel?.close();
    this.times.end = performance.now();
    if (error && !this.#gaveUp && !this.#flags?.has('UT') && this.failure === undefined) {
      noteClientEnd(this, error, this.#answer.isDecided);
    }
    this.#body.abort();
    if (!this.#body.ended) this.#mirrors?.abort();
    try {
      this.#forwarding?.end();
    } catch (thrown) {
      this.onException(thrown);
    }
    finishFilters(this.#place.filters, this);
  }

  // The backend's side.

  onHost(host: UpstreamHost): void {
    this.host = host;
  }

  onAttempt(attempts: number): void {
    this.attempts = attempts;
    this.times.upstreamStart = performance.now();
  }

  onInformational(head: ResponseHead): void {
    if (!this.isDecided) this.#exchange.sendInformational(head);
  }

  onAnswer(attempt: Attempt, head: ResponseHead, ends: boolean): void {
    this.times.firstResponseByte = performance.now();
    this.host = attempt.host ?? this.host;
    if (this.responseDetails === '') this.responseDetails = 'via_upstream';
    this.grpcStatus = head.headers.get('grpc-status');
    changeAnswer(this, head, this.#place.tellsReason);
    if (this.#over) return;
    this.#answer.decide(attempt.exchange, ends);
    this.responseHead = head;
    filterAnswer(this.#place.filters, head, this);
  }

  onUpstreamData(bytes: Uint8Array): void {
    this.upstreamBytesReceived += bytes.length;
    this.bytesSent += bytes.length;
    this.responseMessages?.push(bytes);
    this.#answer.onData(bytes);
  }

  onUpstreamEnd(trailers: HeaderList | undefined): void {
    if (trailers) this.grpcStatus = trailers.get('grpc-status') ?? this.grpcStatus;
    this.#answer.onEnd(trailers);
  }

  onUpstreamDrain(): void {
    this.#body.onDrain();
  }

  onNoAnswer(reply: LocalReply, failure: UpstreamFailure | undefined): void {
    this.failure = failure;
    if (this.attempts > 1) this.addFlag('URX');
    this.#reply(reply);
  }

  onBrokenAnswer(failure: UpstreamFailure): void {
    this.failure = failure;
    if (failure.flag !== '') this.addFlag(failure.flag);
    this.responseDetails = 'upstream_reset_after_response_started';
    this.reason = failure.message;
    this.#exchange.reset(new Error(failure.message));
  }

  // The chain's side.

  get isDecided(): boolean {
    return this.#over || this.#answer.isDecided;
  }

  get isGivenUp(): boolean {
    return this.#over || this.#gaveUp;
  }

  onFilterReply(reply: LocalReply): void {
    this.#reply(reply);
  }

  onFiltered(): void {
    const reply = replyOfRule(this.#picked, this.request, this.connection.destinationPort);
    if (reply) this.#reply(reply);
    else this.#forward(this.#picked as PickedRule);
  }

  onAnswerFiltered(head: ResponseHead): void {
    this.#send(head);
  }

  // From the filters to the answer.

  #forward(picked: PickedRule): void {
    const { services, settings } = this.#place;
    const { rule } = picked;
    const { request } = this;
    const destinations = rule.action.kind === 'forward' ? rule.action.destinations : [];
    const destination = chooseDestination(destinations, this.preferredBackend, services.random);
    if (!destination || destination.target.kind === 'invalid') {
      this.#reply(replyWithoutDestination(rule, destination));
      return;
    }
    this.destination = destination;
    this.backend = destination.target.backend;
    this.#tunnel?.onFiltered();
    changeRequest(this, picked, destination);
    const client = clientOf(this);
    if (rule.mirrors) {
      this.#mirrors = new Mirrors(services, rule.mirrors, {
        head: request,
        body: this.#body,
        client,
        timeoutMs: rule.timeoutMs ?? 0,
      });
    }
    this.#forwarding = new Forwarding({
      owner: this,
      services,
      backend: destination.target.backend,
      head: request,
      body: this.#body,
      client,
      rule,
      retry: rule.retry ?? settings.defaultRetry,
      isGrpc: this.isGrpc,
      preferred: this.preferredHost,
    });
    this.#forwarding.start();
  }

  #reply(reply: LocalReply): void {
    if (this.#over) return;
    if (this.#answer.isDecided) this.#exchange.reset(new Error(reply.reason));
    else filterAnswer(this.#place.filters, this.#decide(reply), this);
  }

  /** The answer will be this one, whatever was to be the answer before. */
  #decide(reply: LocalReply): ResponseHead {
    this.#forwarding?.end();
    this.#body.forget();
    if (reply.flag !== '') this.addFlag(reply.flag);
    this.responseDetails = reply.details;
    if (this.reason === '') this.reason = reply.reason;
    const rendered = renderReply(reply, { isGrpc: this.isGrpc, tellsReason: this.#place.tellsReason });
    const { head } = rendered;
    this.#answer.decideOwn(rendered);
    this.grpcStatus = head.headers.get('grpc-status');
    if (this.route?.responseHeaders) changeResponseHeaders(head.headers, this.route.responseHeaders, this);
    this.responseHead = head;
    return head;
  }

  #send(head: ResponseHead): void {
    this.responseStatus = head.status;
    this.bytesSent = this.#answer.ownBytes ?? this.bytesSent;
    this.#answer.send(head);
    if (head.status === 101 && !this.#over) this.#onTunnel?.(this, true);
  }
}

/** Of nearly all requests: who only looks makes no set. */
const noFlags: ReadonlySet<string> = new Set();
