/** The rules of RateLimit policies, compiled: which requests count, and into which bucket. */
import type { RateLimitKey, RateLimitRule } from '../../../api/l7/index.ts';
import { compileMatch, type RequestTest, type RouteRequest, RouteSubject } from '../../../decision/routes/index.ts';
import { claimTexts } from '../../../policy/http-claims.ts';
import { RequestSubject } from '../../../policy/http-facts.ts';
import type { HttpRun } from '../../engine/http-run.ts';

/** A request that limits look at; what takes work is found once. */
export class LimitSubject {
  readonly run: HttpRun;
  readonly source: RequestSubject;
  #route: RouteSubject | undefined;

  constructor(run: HttpRun) {
    this.run = run;
    this.source = new RequestSubject(run);
  }

  get route(): RouteSubject {
    return (this.#route ??= new RouteSubject(this.#request()));
  }

  #request(): RouteRequest {
    const { request, connection, token } = this.run;
    const { method, scheme, authority, path, headers } = request;
    return {
      method,
      scheme,
      authority,
      path,
      headers,
      port: connection.destinationPort,
      sourceNamespace: this.source.namespace,
      claims: token?.claims,
    };
  }
}

export interface CompiledLimit {
  /** `<namespace>/<name>` of the policy. */
  readonly policy: string;
  readonly rule: RateLimitRule;
  counts(subject: LimitSubject): boolean;
  /** One entry for each of `by`, in its order. */
  entries(subject: LimitSubject): (readonly [key: string, value: string])[];
}

/** What stands for a value that a request does not have: all such requests share a bucket. */
const absent = 'unknown';

/** @throws AmbitError `policy.bad-regex`. */
export function compileLimit(policy: string, rule: RateLimitRule): CompiledLimit {
  const tests: readonly RequestTest[] = rule.matches.map((match) => compileMatch(match));
  return {
    policy,
    rule,
    counts: (subject) => tests.length === 0 || tests.some((test) => test(subject.route)),
    entries: (subject) => rule.by.map((key) => [key.key, valueOf(key, subject) || absent] as const),
  };
}

function valueOf(key: RateLimitKey, subject: LimitSubject): string | undefined {
  const { run, source } = subject;
  switch (key.kind) {
    case 'header':
      return run.request.headers.getAll(key.name).join(',');
    case 'query':
      return subject.route.query(key.name);
    case 'claim':
      return run.token && claimTexts(run.token.claims, key.path).join(',');
    case 'remote-ip':
      return run.remoteAddress;
    case 'source-principal':
      return source.principal;
    case 'source-namespace':
      return source.namespace;
    case 'method':
      return run.request.method;
    case 'path':
      return source.path;
    case 'route':
      return run.route?.name;
    case 'value':
      return key.value;
  }
}
