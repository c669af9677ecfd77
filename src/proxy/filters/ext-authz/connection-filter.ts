/**
 * External authorization of connections that are no HTTP: an authorizer by gRPC is told who is at the ends, and asked once for
 * each connection, also when the policy that wants it comes later.
 */
import { RequestSubject } from '../../../policy/http-facts.ts';
import type { FilterPlace } from '../../engine/filter.ts';
import type { DownstreamConnection } from '../../engine/http-run.ts';
import type { TcpFilter, TcpRefusal, TcpRun, TcpVerdict } from '../../engine/tcp-run.ts';
import { type Asker, askersOf, deniedBy, failedToAsk, firstMatch, withoutAuthorizer } from './askers.ts';
import type { Authorizer, AuthorizerAnswer } from './authorizer.ts';
import { type CheckResult, countChecks } from './check-counts.ts';

export function createConnectionFilter(name: string, place: FilterPlace): TcpFilter | undefined {
  const askers = askersOf(place, 'tcp');
  return askers.length === 0 ? undefined : new ConnectionFilter(name, askers, countChecks(place.services.metrics));
}

type ConnectionAuthorizer = Authorizer & Required<Pick<Authorizer, 'askConnection'>>;

/**
 * What authorizers say of connections that live, by authorizer: a refusal or a failure is not kept. Of the process, as each
 * configuration has filters of its own.
 */
const checks = new WeakMap<DownstreamConnection, Map<string, Promise<AuthorizerAnswer> | 'allowed'>>();

class ConnectionFilter implements TcpFilter {
  readonly name: string;
  readonly #askers: readonly Asker[];
  readonly #count: (provider: string, result: CheckResult) => void;

  constructor(name: string, askers: readonly Asker[], count: (provider: string, result: CheckResult) => void) {
    this.name = name;
    this.#askers = askers;
    this.#count = count;
  }

  onConnection({ connection }: TcpRun, signal: AbortSignal): TcpVerdict {
    const subject = subjectOf(connection);
    for (const { provider, matchers, trials } of this.#askers) {
      if (!firstMatch(matchers, subject) && firstMatch(trials, subject)) this.#count(provider, 'dry_run');
    }
    return this.review(connection, signal);
  }

  review(connection: DownstreamConnection, signal: AbortSignal): TcpVerdict {
    const subject = subjectOf(connection);
    const asked: ConnectionAuthorizer[] = [];
    for (const { provider, matchers, authorizer } of this.#askers) {
      const rule = firstMatch(matchers, subject);
      if (!rule) continue;
      const found = forConnections(authorizer);
      // No one is asked about what is denied anyway.
      if ('missing' in found) {
        this.#count(provider, 'error');
        return withoutAuthorizer(rule, found.missing);
      }
      if (checks.get(connection)?.get(found.id) !== 'allowed') asked.push(found);
    }
    return asked.length === 0 ? undefined : this.#askAll(connection, asked, signal);
  }

  /** One after the other: each must allow. */
  async #askAll(
    connection: DownstreamConnection,
    authorizers: readonly ConnectionAuthorizer[],
    signal: AbortSignal,
  ): Promise<TcpRefusal | undefined> {
    for (const authorizer of authorizers) {
      const answer = await this.#ask(connection, authorizer, signal);
      if (signal.aborted) return undefined;
      if (answer === 'allowed' || answer.kind === 'allowed') continue;
      if (answer.kind === 'denied') return deniedBy(authorizer, answer.message);
      if (!authorizer.use.failOpen) return failedToAsk(authorizer, answer.message);
    }
    return undefined;
  }

  /** Whoever asks while an answer is waited for waits for the same one. */
  #ask(
    connection: DownstreamConnection,
    authorizer: ConnectionAuthorizer,
    signal: AbortSignal,
  ): Promise<AuthorizerAnswer> | 'allowed' {
    let ofConnection = checks.get(connection);
    if (!ofConnection) checks.set(connection, (ofConnection = new Map()));
    let answer = ofConnection.get(authorizer.id);
    if (answer === undefined) {
      answer = this.#call(connection, authorizer, { ofConnection, signal });
      ofConnection.set(authorizer.id, answer);
    }
    return answer;
  }

  async #call(
    connection: DownstreamConnection,
    authorizer: ConnectionAuthorizer,
    { ofConnection, signal }: { readonly ofConnection: Map<string, unknown>; readonly signal: AbortSignal },
  ): Promise<AuthorizerAnswer> {
    const call = authorizer.askConnection(connection);
    const cancel = (): void => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    if (signal.aborted) cancel();
    const answer = await call.answer;
    signal.removeEventListener('abort', cancel);
    if (answer.kind === 'allowed') ofConnection.set(authorizer.id, 'allowed');
    else ofConnection.delete(authorizer.id);
    if (!signal.aborted) this.#count(authorizer.name, answer.kind === 'failed' ? 'error' : answer.kind);
    return answer;
  }
}

/** Requests are what an authorizer by HTTP is asked with: about bytes it cannot be asked at all. */
function forConnections(authorizer: Asker['authorizer']): ConnectionAuthorizer | { readonly missing: string } {
  if ('missing' in authorizer) return authorizer;
  const { name, askConnection } = authorizer;
  if (askConnection) return { ...authorizer, askConnection };
  return { missing: `provider "${name}" is asked by HTTP, and the connection is none` };
}

function subjectOf(connection: DownstreamConnection): RequestSubject {
  return new RequestSubject({ connection, remoteAddress: connection.sourceAddress });
}
