/** One rule of a RequestAuthentication, compiled: verifies tokens (ambient-l7, 2.7). Pure but for the cost: keep what it says. */
import type { JwtRule } from '../api/l7/index.ts';
import { unreachable } from '../lib/errors.ts';
import type { TokenFacts } from './http-facts.ts';
import { checkSignature, parseJwks } from './jwt-keys.ts';
import { parseJwt, type ParsedJwt } from './jwt-token.ts';

export interface VerifiedJwt extends TokenFacts {
  /** As in the token: base64url of JSON. */
  readonly payload: string;
  /** Claims as the issuer wrote them; those of `claims` have lists where spaces parted them. */
  readonly written: Readonly<Record<string, unknown>>;
  /** Good until then, clock skew included; Infinity: for ever. */
  readonly untilMs: number;
}

export type JwtProblem =
  | 'malformed'
  | 'issuer'
  | 'algorithm'
  | 'no-key'
  | 'signature'
  | 'not-yet-valid'
  | 'expired'
  | 'audience';

export type JwtOutcome =
  | { readonly kind: 'verified'; readonly token: VerifiedJwt }
  /** `reason` for people: never of the token's text beyond its issuer. */
  | { readonly kind: 'refused'; readonly problem: JwtProblem; readonly reason: string };

export interface CompiledJwtRule {
  readonly rule: JwtRule;
  verify(text: string, nowMs: number): JwtOutcome;
}

/** How far the clocks of issuers may be off. */
const skewMs = 60_000;

/** Parted by spaces whatever the rule says (RFC 8693, 4.2; and as Istio does). */
const spaceDelimited = ['scope', 'permission'];

/** @throws AmbitError `policy.bad-jwks`. */
export function compileJwtRule(rule: JwtRule): CompiledJwtRule {
  const keys = rule.keys.kind === 'jwks' ? parseJwks(rule.keys.json) : [];
  const split = new Set([...spaceDelimited, ...rule.spaceDelimitedClaims]);
  return {
    rule,
    verify(text, nowMs) {
      const parsed = parseJwt(text);
      if ('problem' in parsed) return refused('malformed', `the token cannot be read: ${parsed.problem}`);
      const { iss } = parsed.claims;
      // Before anything that costs: with several rules most tokens are another's.
      if (rule.issuer !== '' && iss !== rule.issuer) {
        return refused('issuer', `no rule knows the issuer ${shown(iss)} of the token`);
      }
      if (rule.keys.kind === 'unavailable') {
        return refused('signature', `the keys of ${rule.issuer} are not available: ${rule.keys.reason}`);
      }
      switch (checkSignature(parsed, keys)) {
        case 'algorithm':
          return refused('algorithm', `the token's algorithm ${shown(parsed.algorithm)} is not supported`);
        case 'no-key':
          return refused('no-key', `${rule.issuer} has no key of the token's id and algorithm`);
        case 'invalid':
          return refused('signature', `the token is not signed by ${rule.issuer}`);
        case 'valid':
          return judgeClaims(parsed, rule, split, nowMs);
      }
    },
  };
}

function judgeClaims(
  { claims, payload }: ParsedJwt,
  rule: JwtRule,
  split: ReadonlySet<string>,
  nowMs: number,
): JwtOutcome {
  const { iss, sub, aud, azp, exp, nbf } = claims;
  if (!isTime(exp) || !isTime(nbf)) return refused('malformed', 'the token has times that are no numbers');
  const untilMs = exp === undefined ? Infinity : exp * 1000 + skewMs;
  if (nbf !== undefined && nowMs < nbf * 1000 - skewMs) return refused('not-yet-valid', 'the token is not valid yet');
  if (nowMs > untilMs) return refused('expired', 'the token has expired');
  const audiences = Array.isArray(aud) ? aud.filter(isText) : isText(aud) ? [aud] : [];
  if (rule.audiences.length > 0 && !audiences.some((audience) => rule.audiences.includes(audience))) {
    return refused('audience', `the token is for ${shown(audiences.join(', '))}, not for ${rule.audiences.join(', ')}`);
  }
  const token: VerifiedJwt = {
    issuer: isText(iss) ? iss : '',
    subject: isText(sub) ? sub : '',
    audiences,
    presenter: isText(azp) ? azp : '',
    claims: splitClaims(claims, split),
    written: claims,
    payload,
    untilMs,
  };
  return { kind: 'verified', token };
}

function splitClaims(claims: ParsedJwt['claims'], split: ReadonlySet<string>): ParsedJwt['claims'] {
  let changed: Record<string, unknown> | undefined;
  for (const name of split) {
    const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
    if (!isText(value)) continue;
    changed ??= { ...claims };
    changed[name] = value.split(' ').filter((part) => part !== '');
  }
  return changed ?? claims;
}

/** What clients are told: the words that Envoy has for it, where clients may know them. */
export function problemText(problem: JwtProblem): string {
  switch (problem) {
    case 'malformed':
      return 'Jwt is malformed';
    case 'issuer':
      return 'Jwt issuer is not configured';
    case 'algorithm':
      return 'Jwt algorithm is not supported';
    case 'no-key':
    case 'signature':
      return 'Jwt verification fails';
    case 'not-yet-valid':
      return 'Jwt is not yet valid';
    case 'expired':
      return 'Jwt is expired';
    case 'audience':
      return 'Audiences in Jwt are not allowed';
    default:
      return unreachable(problem);
  }
}

function refused(problem: JwtProblem, reason: string): JwtOutcome {
  return { kind: 'refused', problem, reason };
}

function isTime(value: unknown): value is number | undefined {
  return value === undefined || (typeof value === 'number' && Number.isFinite(value));
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

/** Text of a stranger, for a message. */
function shown(value: unknown): string {
  if (!isText(value)) return 'that is no text';
  return JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}...` : value);
}
