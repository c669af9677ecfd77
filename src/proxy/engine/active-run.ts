/** One request from its head to its end: filters, route, attempts, answer. */
import { randomUUID } from 'node:crypto';
import type { DestinationService, HttpRule, WeightedDestination } from '../../api/l7/index.ts';
import type { WorkloadUid } from '../../api/names.ts';
import { drawDestination, redirectLocation, rewritePath, type PickedRule } from '../../decision/routes/index.ts';
import { HeaderList } from '../../http/header-list.ts';
import {
  ExchangeError,
  type RequestHead,
  type ResponseHead,
  type ServerExchange,
  type ServerExchangeReader,
} from '../../http/message.ts';
import { messageOf } from '../../lib/errors.ts';
import { tryParseSpiffeId, spiffeParts } from '../../identity/index.ts';
import type { UpstreamFailure, UpstreamHost } from '../upstream/upstream.ts';
import type { Attempt } from './attempt.ts';
import { enginePart, exceptionReply, reportException } from './exceptions.ts';
import { noRoute } from './failure-reply.ts';
import type { HttpFilter, LocalReply } from './filter.ts';
import { Forwarding, type ForwardingOwner } from './forwarding.ts';
import { GrpcMessages } from './grpc-messages.ts';
import { changeRequestHeaders, changeResponseHeaders } from './header-changes.ts';
import type { DownstreamConnection, HttpRun, RunTimes, VerifiedToken } from './http-run.ts';
import { reasonHeader, renderReply, sendReply, type RenderedReply } from './local-reply.ts';
import { Mirrors } from './mirror.ts';
import type { HttpPlace } from './place.ts';
import { RequestBody } from './request-body.ts';
import { ResponseBody } from './response-body.ts';

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

export class ActiveRun implements HttpRun, ServerExchangeReader, ForwardingOwner {
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
  /** A request for a tunnel as filters saw it, before its rule changed it. */
  #entered: RequestHead | undefined;
  readonly #exchange: ServerExchange;
  readonly #place: HttpPlace;
  readonly #body: RequestBody;
  readonly #response: ResponseBody;
  #picked: PickedRule | undefined;
  #forwarding: Forwarding | undefined;
  #mirrors: Mirrors | undefined;
  /** A final head is decided on, and may wait for filters. */
  #responded = false;
  /** It went out. */
  #headSent = false;
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
    this.#response = new ResponseBody(exchange);
  }

  start(): void {
    try {
      this.#exchange.read(this);
      this.reroute();
      this.#filter(0);
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
      if (!this.#headSent) {
        const { head, body } = this.#decide(reply);
        this.#send(head, body);
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
    if (flag !== '') this.flags.add(flag);
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

  get flags(): Set<string> {
    return (this.#flags ??= new Set());
  }

  reroute(): void {
    const { request, connection } = this;
    const { sourceIdentity } = connection;
    this.#picked = this.#place.routes.pick({
      method: request.method,
      scheme: request.scheme,
      authority: request.authority,
      path: request.path,
      headers: request.headers,
      port: connection.destinationPort,
      sourceNamespace:
        sourceIdentity !== undefined && tryParseSpiffeId(sourceIdentity)
          ? spiffeParts(sourceIdentity).namespace
          : undefined,
      claims: this.token?.claims,
    });
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
    return this.#entered ?? this.request;
  }

  /** The configuration changed while this is a tunnel: ends it when the filters of `place` would not let it in now. */
  review(place: HttpPlace): void {
    const { connection, remoteAddress, token } = this;
    for (const filter of place.filters) {
      let refusal: LocalReply | undefined;
      try {
        refusal = filter.review?.({ connection, remoteAddress, token, request: this.entered });
      } catch (error) {
        this.onException(error, filter.name);
        return;
      }
      if (!refusal) continue;
      this.responseDetails = refusal.details;
      this.reason = `not allowed any more: ${refusal.reason}`;
      this.#reset(this.reason);
      return;
    }
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
      this.#response.onDrain();
    } catch (error) {
      this.onException(error);
    }
  }

  onClose(error?: Error): void {
    if (this.#over) return;
    this.#over = true;
    if (this.responseStatus === 101) this.#onTunnel?.(this, false);
    this.times.end = performance.now();
    if (error && !this.#gaveUp && !this.#flags?.has('UT') && this.failure === undefined) this.#noteClient(error);
    this.#body.abort();
    if (!this.#body.ended) this.#mirrors?.abort();
    try {
      this.#forwarding?.end();
    } catch (thrown) {
      this.onException(thrown);
    }
    for (const filter of this.#place.filters) {
      // Each on its own: what one of them counts does not depend on the others.
      try {
        filter.onFinish?.(this);
      } catch (thrown) {
        this.onException(thrown, filter.name);
      }
    }
  }

  /** The client gave up, or broke the protocol: then the codec may have answered. */
  #noteClient(error: Error): void {
    const isBroken = error instanceof ExchangeError && error.reason === 'protocol-error';
    this.flags.add(isBroken ? 'DPE' : 'DC');
    if (!this.#responded) {
      this.responseDetails = isBroken ? 'downstream_protocol_error' : 'downstream_remote_disconnect';
      if (isBroken) this.responseStatus = error.status;
    }
    if (this.reason !== '') return;
    const what = isBroken ? 'the client sent a malformed request' : 'the client gave up';
    this.reason = `${what}: ${messageOf(error)}`;
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
    if (!this.#responded && !this.#over) this.#exchange.sendInformational(head);
  }

  onAnswer(attempt: Attempt, head: ResponseHead, ends: boolean): void {
    this.times.firstResponseByte = performance.now();
    this.host = attempt.host ?? this.host;
    if (this.responseDetails === '') this.responseDetails = 'via_upstream';
    this.grpcStatus = head.headers.get('grpc-status');
    this.#response.begin(attempt.exchange);
    head.headers.set('server', 'istio-envoy');
    // What a waypoint behind us tells callers in the mesh is not for strangers.
    if (!this.#place.tellsReason) head.headers.remove(reasonHeader);
    const elapsed = Math.round(this.times.firstResponseByte - this.times.upstreamStart);
    head.headers.set('x-envoy-upstream-service-time', String(Math.max(0, elapsed)));
    const { destination, route } = this;
    if (destination?.responseHeaders) changeResponseHeaders(head.headers, destination.responseHeaders, this);
    if (route?.responseHeaders) changeResponseHeaders(head.headers, route.responseHeaders, this);
    this.#answer(head, ends);
  }

  onUpstreamData(bytes: Uint8Array): void {
    this.upstreamBytesReceived += bytes.length;
    this.bytesSent += bytes.length;
    this.responseMessages?.push(bytes);
    this.#response.onData(bytes);
  }

  onUpstreamEnd(trailers: HeaderList | undefined): void {
    if (trailers) this.grpcStatus = trailers.get('grpc-status') ?? this.grpcStatus;
    this.#response.onEnd(trailers);
  }

  onUpstreamDrain(): void {
    this.#body.onDrain();
  }

  onNoAnswer(reply: LocalReply, failure: UpstreamFailure | undefined): void {
    this.failure = failure;
    if (this.attempts > 1) this.flags.add('URX');
    this.#reply(reply);
  }

  onBrokenAnswer(failure: UpstreamFailure): void {
    this.failure = failure;
    if (failure.flag !== '') this.flags.add(failure.flag);
    this.responseDetails = 'upstream_reset_after_response_started';
    this.reason = failure.message;
    this.#exchange.reset(new Error(failure.message));
  }

  // From the head to the answer.

  #filter(index: number): void {
    const { filters } = this.#place;
    for (let i = index; i < filters.length; i++) {
      const filter = filters[i] as HttpFilter;
      let result;
      try {
        result = filter.onRequest?.(this);
      } catch (error) {
        this.onException(error, filter.name);
        return;
      }
      if (result === undefined) continue;
      if (!(result instanceof Promise)) {
        this.#reply(result);
        return;
      }
      result.then(
        (reply) => this.#goOn(reply, i + 1),
        (error: unknown) => {
          if (!this.#over && !this.#responded) this.onException(error, filter.name);
        },
      );
      return;
    }
    this.#act();
  }

  /** After a filter that waited. */
  #goOn(reply: LocalReply | undefined, next: number): void {
    if (this.#over || this.#responded) return;
    try {
      if (reply) this.#reply(reply);
      else this.#filter(next);
    } catch (error) {
      this.onException(error);
    }
  }

  #act(): void {
    const { request } = this;
    const picked = this.#picked;
    if (!picked || (request.method === 'CONNECT' && request.upgrade === undefined)) {
      this.#reply(noRoute);
      return;
    }
    if (request.upgrade !== undefined && request.upgrade !== 'websocket') {
      this.#reply({
        status: 403,
        flag: '',
        details: 'upgrade_failed',
        reason: `upgrading to ${request.upgrade} is not allowed`,
      });
      return;
    }
    const { rule, match } = picked;
    const { action } = rule;
    switch (action.kind) {
      case 'respond':
        this.#reply({
          status: action.status,
          ...(action.body === undefined ? {} : { body: action.body }),
          ...(action.contentType === undefined ? {} : { contentType: action.contentType }),
          flag: '',
          details: 'direct_response',
          reason: '',
        });
        return;
      case 'redirect': {
        const at = {
          scheme: request.scheme,
          authority: request.authority,
          path: request.path,
          port: this.connection.destinationPort,
        };
        const headers = new HeaderList(['location', redirectLocation(at, action, match)]);
        this.#reply({ status: action.status, headers, flag: '', details: 'direct_response', reason: '' });
        return;
      }
      case 'forward':
        this.#forward(picked, action.destinations);
    }
  }

  #forward({ rule, match }: PickedRule, destinations: readonly WeightedDestination[]): void {
    const { services, settings } = this.#place;
    const { request } = this;
    const destination = this.#ofSession(destinations) ?? drawDestination(destinations, services.random());
    if (!destination || destination.target.kind === 'invalid') {
      const invalid = destination?.target.kind === 'invalid' ? destination.target : undefined;
      this.#reply({
        status: invalid?.status ?? 500,
        // GRPCRoute: UNAVAILABLE.
        headers: new HeaderList(['grpc-status', '14']),
        flag: invalid?.status === 503 ? 'NC' : '',
        details: invalid ? 'cluster_not_found' : 'no_destination',
        reason: invalid?.reason ?? `rule ${rule.name} has no destination with a weight`,
      });
      return;
    }
    this.destination = destination;
    this.backend = destination.target.backend;
    if (request.upgrade !== undefined) this.#entered = { ...request, headers: request.headers.copy() };
    if (destination.requestHeaders) changeRequestHeaders(request, destination.requestHeaders, this);
    if (rule.requestHeaders) changeRequestHeaders(request, rule.requestHeaders, this);
    const rewrite = destination.rewrite ?? (rule.action.kind === 'forward' ? rule.action.rewrite : undefined);
    if (rewrite?.authority !== undefined) request.authority = rewrite.authority;
    if (rewrite?.path) {
      const path = rewritePath(request.path, rewrite.path, match);
      if (path !== request.path) request.headers.set('x-envoy-original-path', request.path);
      request.path = path;
    }
    const { connection } = this;
    const client = {
      address: connection.sourceAddress,
      port: connection.sourcePort,
      ...(connection.sourceIdentity === undefined ? {} : { identity: connection.sourceIdentity }),
      destination: { address: connection.destinationAddress, port: connection.destinationPort },
    };
    if (rule.mirrors) {
      const copy = { head: request, ends: this.#body.isEmpty, client, timeoutMs: rule.timeoutMs ?? 0 };
      this.#mirrors = new Mirrors(services, rule.mirrors, copy);
      for (const bytes of this.#body.keptSoFar) this.#mirrors.write(bytes);
      if (this.#body.ended && !copy.ends) this.#mirrors.end(undefined);
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

  /** The destination that the client's session is at. */
  #ofSession(destinations: readonly WeightedDestination[]): WeightedDestination | undefined {
    const { preferredBackend } = this;
    if (preferredBackend === undefined) return undefined;
    return destinations.find(
      ({ weight, target }) => weight > 0 && target.kind === 'backend' && target.backend === preferredBackend,
    );
  }

  #reply(reply: LocalReply): void {
    if (this.#over) return;
    if (this.#responded) {
      this.#exchange.reset(new Error(reply.reason));
      return;
    }
    const { head, body } = this.#decide(reply);
    this.#throughFilters(head, () => this.#send(head, body));
  }

  /** The answer will be this one, whatever was to be the answer before. */
  #decide(reply: LocalReply): RenderedReply {
    this.#responded = true;
    this.#forwarding?.end();
    this.#body.forget();
    if (reply.flag !== '') this.flags.add(reply.flag);
    this.responseDetails = reply.details;
    if (this.reason === '') this.reason = reply.reason;
    const rendered = renderReply(reply, { isGrpc: this.isGrpc, tellsReason: this.#place.tellsReason });
    const { head } = rendered;
    this.grpcStatus = head.headers.get('grpc-status');
    if (this.route?.responseHeaders) changeResponseHeaders(head.headers, this.route.responseHeaders, this);
    this.responseHead = head;
    return rendered;
  }

  #send(head: ResponseHead, body: Uint8Array | undefined): void {
    this.responseStatus = head.status;
    this.bytesSent = body?.length ?? 0;
    this.#headSent = true;
    sendReply(this.#exchange, head, body);
  }

  #answer(head: ResponseHead, ends: boolean): void {
    if (this.#over) return;
    this.#responded = true;
    this.responseHead = head;
    this.#response.hold();
    this.#throughFilters(head, () => {
      this.responseStatus = head.status;
      this.#headSent = true;
      this.#exchange.respond(head, ends);
      this.#response.release();
      if (head.status === 101 && !this.#over) this.#onTunnel?.(this, true);
    });
  }

  /** Runs the filters backwards, then `send`: at once, unless a filter waits. */
  #throughFilters(head: ResponseHead, send: () => void): void {
    const { filters } = this.#place;
    for (let i = filters.length - 1; i >= 0; i--) {
      const filter = filters[i] as HttpFilter;
      let result;
      try {
        result = filter.onResponse?.(this, head);
      } catch (error) {
        this.onException(error, filter.name);
        return;
      }
      if (result === undefined) continue;
      void this.#throughRest(result, i, head, send);
      return;
    }
    send();
  }

  /** The filter at `index` waits for `first`. Never rejects. */
  async #throughRest(first: Promise<void>, index: number, head: ResponseHead, send: () => void): Promise<void> {
    const { filters } = this.#place;
    let part = enginePart;
    try {
      for (let i = index; i >= 0; i--) {
        const filter = filters[i] as HttpFilter;
        part = filter.name;
        await (i === index ? first : filter.onResponse?.(this, head));
      }
      part = enginePart;
      if (!this.#over && !this.#gaveUp) send();
    } catch (error) {
      if (!this.#over) this.onException(error, part);
    }
  }
}

function requestIdOf(request: RequestHead): string {
  const given = request.headers.get('x-request-id');
  if (given !== undefined && given !== '') return given;
  const id = randomUUID();
  request.headers.set('x-request-id', id);
  return id;
}
