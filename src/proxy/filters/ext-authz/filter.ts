/** External authorization: AuthorizationPolicy of action CUSTOM (ambient-l7, 2.5 and 3.2). Before DENY and ALLOW. */
import type { Call } from '../../../http/call.ts';
import type { ResponseHead } from '../../../http/message.ts';
import { RequestSubject } from '../../../policy/http-facts.ts';
import type { RuleName } from '../../../policy/http-rules.ts';
import type { HeaderMutation } from '../../../wire/ext-authz.ts';
import type { FilterKind, FilterResult, HttpFilter, LiveTunnel, LocalReply } from '../../engine/filter.ts';
import type { HttpRun } from '../../engine/http-run.ts';
import { type Asker, askersOf, deniedBy, failedToAsk, firstMatch, withoutAuthorizer } from './askers.ts';
import type { Authorizer, AuthorizerAnswer, CheckedBody } from './authorizer.ts';
import { type CheckResult, countChecks } from './check-counts.ts';
import { createConnectionFilter } from './connection-filter.ts';
import { checkLive, hasAllowed, keepAllowed } from './kept-checks.ts';
import { liveTurns, type LiveTurns } from './live-turns.ts';
import { mutateHeaders } from './header-mutations.ts';
import { changeQuery } from './query-changes.ts';

const name = 'ext-authz';

export const extAuthzFilter: FilterKind = {
  name,
  reads: ['authorization'],
  build(place) {
    const askers = askersOf(place, 'before-tokens');
    if (askers.length === 0) return undefined;
    const { metrics, clock } = place.services;
    return new ExtAuthzFilter(askers, countChecks(metrics), liveTurns(clock));
  },
  buildTcp: (place) => createConnectionFilter(name, place),
};

/** What is kept of a request. */
interface Check {
  call: Call<AuthorizerAnswer> | undefined;
  isOver: boolean;
  readonly responseHeaders: HeaderMutation[];
}

class ExtAuthzFilter implements HttpFilter {
  readonly name: string = name;
  readonly #askers: readonly Asker[];
  readonly #count: (provider: string, result: CheckResult) => void;
  readonly #turns: LiveTurns;

  constructor(askers: readonly Asker[], count: (provider: string, result: CheckResult) => void, turns: LiveTurns) {
    this.#askers = askers;
    this.#count = count;
    this.#turns = turns;
  }

  onRequest(run: HttpRun): FilterResult {
    const subject = new RequestSubject(run);
    const asked: { readonly asker: Asker; readonly rule: RuleName }[] = [];
    for (const asker of this.#askers) {
      const rule = firstMatch(asker.matchers, subject);
      if (rule) asked.push({ asker, rule });
      else if (firstMatch(asker.trials, subject)) this.#count(asker.provider, 'dry_run');
    }
    // No one is asked about what is denied anyway.
    for (const { asker, rule } of asked) {
      if ('missing' in asker.authorizer) {
        this.#count(asker.provider, 'error');
        return { status: 403, body: 'RBAC: access denied', ...withoutAuthorizer(rule, asker.authorizer.missing) };
      }
    }
    return asked.length === 0
      ? undefined
      : this.#askAll(
          run,
          asked.map(({ asker }) => asker.authorizer as Authorizer),
        );
  }

  /** Whoever was not asked before it was a tunnel is asked now, about the request as it came. */
  review(tunnel: LiveTunnel, signal: AbortSignal): FilterResult {
    const { connection, remoteAddress, arrived: request, run } = tunnel;
    const subject = new RequestSubject({ connection, remoteAddress, request });
    const asked: Authorizer[] = [];
    for (const { provider, matchers, authorizer } of this.#askers) {
      const rule = firstMatch(matchers, subject);
      if (!rule) continue;
      // No one is asked about what is denied anyway.
      if ('missing' in authorizer) {
        this.#count(provider, 'error');
        return { status: 403, ...withoutAuthorizer(rule, authorizer.missing) };
      }
      if (!hasAllowed(authorizer, run)) asked.push(authorizer);
    }
    if (asked.length === 0) return undefined;
    // What it would change of the request has been sent: only yes or no counts.
    const ask = (authorizer: Authorizer): Call<AuthorizerAnswer> =>
      authorizer.ask({ connection, remoteAddress, request, requestId: run.requestId, times: run.times }, undefined);
    return checkLive(run, asked, { ask, count: this.#count, signal, turns: this.#turns }).then(
      (refusal) => refusal && { status: 403, ...refusal },
    );
  }

  onResponse(run: HttpRun, head: ResponseHead): void {
    const check = run.state.get(this) as Check | undefined;
    if (check) mutateHeaders(head.headers, check.responseHeaders);
  }

  onFinish(run: HttpRun): void {
    const check = run.state.get(this) as Check | undefined;
    if (!check) return;
    check.isOver = true;
    check.call?.cancel();
  }

  /** One after the other: each must allow. */
  async #askAll(run: HttpRun, authorizers: readonly Authorizer[]): Promise<LocalReply | undefined> {
    const check: Check = { call: undefined, isOver: false, responseHeaders: [] };
    run.state.set(this, check);
    for (const authorizer of authorizers) {
      const reply = await this.#ask(run, check, authorizer);
      if (reply || check.isOver) return reply;
    }
    return undefined;
  }

  async #ask(run: HttpRun, check: Check, authorizer: Authorizer): Promise<LocalReply | undefined> {
    const { use } = authorizer;
    let body: CheckedBody | undefined;
    // Who switches protocols sends no body that would end.
    if (use.body && run.request.upgrade === undefined && run.request.method !== 'CONNECT') {
      const { bytes, whole } = await run.bufferBody(use.body.maxBytes);
      if (check.isOver) return undefined;
      if (!whole && !use.body.allowPartial) {
        this.#count(authorizer.name, 'denied');
        return tooLarge(authorizer, use.body.maxBytes);
      }
      body = { bytes, partial: !whole };
    }
    check.call = authorizer.ask(run, body);
    const answer = await check.call.answer;
    check.call = undefined;
    if (check.isOver) return undefined;
    switch (answer.kind) {
      case 'allowed':
        this.#count(authorizer.name, 'allowed');
        applyAllowed(run, answer);
        check.responseHeaders.push(...answer.responseHeaders);
        if (run.request.upgrade !== undefined) keepAllowed(authorizer, run);
        return undefined;
      case 'denied':
        this.#count(authorizer.name, 'denied');
        return denied(authorizer, answer);
      case 'failed':
        this.#count(authorizer.name, 'error');
        return use.failOpen ? undefined : { status: use.statusOnError, ...failedToAsk(authorizer, answer.message) };
    }
  }
}

function applyAllowed(run: HttpRun, answer: AuthorizerAnswer & { readonly kind: 'allowed' }): void {
  const { request } = run;
  const { requestHeaders, requestHeadersToRemove, query } = answer;
  const path = query ? changeQuery(request.path, query) : request.path;
  if (requestHeaders.length === 0 && requestHeadersToRemove.length === 0 && path === request.path) return;
  mutateHeaders(request.headers, requestHeaders);
  for (const removed of requestHeadersToRemove) if (!removed.startsWith(':')) request.headers.remove(removed);
  request.path = path;
  run.reroute();
}

function denied(authorizer: Authorizer, answer: AuthorizerAnswer & { readonly kind: 'denied' }): LocalReply {
  const { status, headers, body, message } = answer;
  const contentType = headers.get('content-type');
  headers.remove('content-type');
  return {
    status,
    headers,
    body,
    ...(contentType === undefined ? {} : { contentType }),
    ...deniedBy(authorizer, message),
  };
}

function tooLarge({ name: authorizer }: Authorizer, maxBytes: number): LocalReply {
  return {
    status: 413,
    flag: 'UAEX',
    details: 'request_payload_too_large',
    reason: `the body is larger than the ${maxBytes} bytes that authorizer "${authorizer}" takes`,
  };
}
