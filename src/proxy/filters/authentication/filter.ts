/** Tokens of end users (RequestAuthentication; ambient-l7, 2.7): verified where there are some, and said in `run.token`. */
import type { JwtRule, RequestAuthentication } from '../../../api/l7/index.ts';
import { HeaderList } from '../../../http/header-list.ts';
import type { RequestHead } from '../../../http/message.ts';
import { AmbitError } from '../../../lib/errors.ts';
import {
  compileJwtRule,
  problemText,
  type CompiledJwtRule,
  type JwtOutcome,
  type VerifiedJwt,
} from '../../../policy/jwt-rule.ts';
import type { FilterKind, FilterPlace, LocalReply } from '../../engine/filter.ts';
import { requestedMethod } from '../cors/preflight.ts';
import { outputHeaders, writeOutputs } from './outputs.ts';
import { TokenCache, tokenHash } from './token-cache.ts';
import { tokenPlaces, type TokenPlaces } from './token-places.ts';

const name = 'authentication';

export const authenticationFilter: FilterKind = {
  name,
  reads: ['authentication'],
  build(place) {
    const rules = policiesOf(place).flatMap((policy) => policy.rules.map(preparedRule));
    if (rules.length === 0) return undefined;
    const { clock, askForKeys } = place.services;
    const reserved = outputHeaders(rules.map(({ rule }) => rule));
    return {
      name,
      onRequest(run) {
        const { request } = run;
        for (const header of reserved) request.headers.remove(header);
        // Browsers ask without a token whether they may send one.
        if (requestedMethod(request) !== undefined) return undefined;
        const result = authenticate(rules, request, clock.nowMs(), askForKeys);
        if (result === 'no-token') return undefined;
        if (result.kind === 'refused') return refusal(result, request);
        const { rule, places, token } = result;
        run.token = token;
        if (!rule.forwardOriginalToken) places.strip(request);
        writeOutputs(request, rule, token);
        // Rules may ask for claims, and what they ask for may have been taken away.
        run.reroute();
        return undefined;
      },
    };
  },
};

interface PreparedRule extends CompiledJwtRule {
  readonly places: TokenPlaces;
  readonly cache: TokenCache;
}

/** A rule is the same object in every place and every configuration that has it: its tokens are verified once. */
const prepared = new WeakMap<JwtRule, PreparedRule>();

function preparedRule(rule: JwtRule): PreparedRule {
  const known = prepared.get(rule);
  if (known) return known;
  const made = { ...compileJwtRule(rule), places: tokenPlaces(rule), cache: new TokenCache() };
  prepared.set(rule, made);
  return made;
}

type Refused = JwtOutcome & { readonly kind: 'refused' };

interface Authenticated {
  readonly kind: 'authenticated';
  readonly rule: JwtRule;
  readonly places: TokenPlaces;
  readonly token: VerifiedJwt;
}

/** Any rule is enough. All tokens at the places of a rule must be good: nobody knows which one the backend reads. */
function authenticate(
  rules: readonly PreparedRule[],
  request: RequestHead,
  nowMs: number,
  askForKeys: ((keySet: string) => void) | undefined,
): Authenticated | Refused | 'no-token' {
  let refused: Refused | undefined;
  const found = rules.map(({ places }) => places.find(request));
  const hashes = new Map<string, string>();
  const hashOf = (text: string): string => {
    let known = hashes.get(text);
    if (known === undefined) hashes.set(text, (known = tokenHash(text)));
    return known;
  };
  // What is known already costs no signature, whichever rule it belongs to.
  for (const [i, { rule, places, cache }] of rules.entries()) {
    const [first, ...others] = (found[i] ?? []).map((text) => cache.get(hashOf(text), nowMs));
    if (first && !others.includes(undefined)) return { kind: 'authenticated', rule, places, token: first };
  }
  for (const [i, compiled] of rules.entries()) {
    const { rule, places, cache } = compiled;
    let first: VerifiedJwt | undefined;
    let isRefused = false;
    for (const text of found[i] ?? []) {
      const outcome = compiled.verify(text, nowMs);
      if (outcome.kind === 'refused') {
        isRefused = true;
        if (outcome.problem === 'no-key' && rule.keySet !== undefined) askForKeys?.(rule.keySet);
        // The rule of the token's own issuer has more to say than the others.
        if (!refused || refused.problem === 'issuer') refused = outcome;
        break;
      }
      cache.set(hashOf(text), outcome.token, text.length);
      first ??= outcome.token;
    }
    if (first && !isRefused) return { kind: 'authenticated', rule, places, token: first };
  }
  return refused ?? 'no-token';
}

/** RFC 6750, 3. */
function refusal({ problem, reason }: Refused, { scheme, authority, path }: RequestHead): LocalReply {
  const text = problemText(problem);
  const realm = `${scheme}://${authority}${path.replace(/[?#].*$/s, '')}`.replaceAll(/[^\x21\x23-\x5b\x5d-\x7e]/g, '');
  return {
    status: problem === 'audience' ? 403 : 401,
    headers: new HeaderList(['www-authenticate', `Bearer realm="${realm}", error="invalid_token"`]),
    body: text,
    flag: '',
    details: `jwt_authn_access_denied{${text.replaceAll(' ', '_')}}`,
    reason,
  };
}

function policiesOf({ policies, snapshot }: FilterPlace): RequestAuthentication[] {
  return [...new Set(policies.authentication)].map((policyName) => {
    const policy = snapshot.policies.authentication.get(policyName);
    if (policy) return policy;
    throw new AmbitError(`Cannot find the request authentication "${policyName}"`, {
      code: 'proxy.unresolved-policy',
      blame: 'internal',
    });
  });
}
