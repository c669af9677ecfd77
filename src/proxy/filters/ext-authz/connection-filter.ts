/**
 * External authorization of connections that are no HTTP: an authorizer by gRPC is told who is at the ends, and asked once for
 * each connection, also when the policy that wants it comes later.
 */
import type { Call } from '../../../http/call.ts';
import { RequestSubject } from '../../../policy/http-facts.ts';
import type { FilterPlace } from '../../engine/filter.ts';
import type { DownstreamConnection } from '../../engine/http-run.ts';
import type { TcpFilter, TcpRun, TcpVerdict } from '../../engine/tcp-run.ts';
import { type Asker, askersOf, firstMatch, withoutAuthorizer } from './askers.ts';
import type { Authorizer, AuthorizerAnswer } from './authorizer.ts';
import { type CheckResult, countChecks } from './check-counts.ts';
import { checkLive, hasAllowed } from './kept-checks.ts';
import { liveTurns, type LiveTurns } from './live-turns.ts';

export function createConnectionFilter(name: string, place: FilterPlace): TcpFilter | undefined {
  const askers = askersOf(place, 'tcp');
  if (askers.length === 0) return undefined;
  const { metrics, clock } = place.services;
  return new ConnectionFilter(name, { askers, count: countChecks(metrics), turns: liveTurns(clock) });
}

type ConnectionAuthorizer = Authorizer & Required<Pick<Authorizer, 'askConnection'>>;

class ConnectionFilter implements TcpFilter {
  readonly name: string;
  readonly #askers: readonly Asker[];
  readonly #count: (provider: string, result: CheckResult) => void;

  readonly #turns: LiveTurns;

  constructor(
    name: string,
    options: {
      readonly askers: readonly Asker[];
      readonly count: (provider: string, result: CheckResult) => void;
      readonly turns: LiveTurns;
    },
  ) {
    this.name = name;
    this.#askers = options.askers;
    this.#count = options.count;
    this.#turns = options.turns;
  }

  onConnection({ connection }: TcpRun, signal: AbortSignal): TcpVerdict {
    const subject = subjectOf(connection);
    for (const { provider, matchers, trials } of this.#askers) {
      if (!firstMatch(matchers, subject) && firstMatch(trials, subject)) this.#count(provider, 'dry_run');
    }
    return this.#check(connection, signal, undefined);
  }

  review(connection: DownstreamConnection, signal: AbortSignal): TcpVerdict {
    return this.#check(connection, signal, this.#turns);
  }

  #check(connection: DownstreamConnection, signal: AbortSignal, turns: LiveTurns | undefined): TcpVerdict {
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
      if (!hasAllowed(found, connection)) asked.push(found);
    }
    if (asked.length === 0) return undefined;
    const ask = (authorizer: ConnectionAuthorizer): Call<AuthorizerAnswer> => authorizer.askConnection(connection);
    return checkLive(connection, asked, { ask, count: this.#count, signal, ...(turns ? { turns } : {}) });
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
