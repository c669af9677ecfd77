/** Which key sets the rules of RequestAuthentication need from elsewhere: a value that says where they are to be had. */
import type { RequestAuthenticationSpec } from '../../api/custom/types.gen.ts';
import { milliseconds } from './durations.ts';

export type IstioJwtRule = NonNullable<RequestAuthenticationSpec['jwtRules']>[number];

/** A set of keys as it is known now. `unavailable`: no token of theirs can be verified. */
export type KeySet =
  | { readonly kind: 'jwks'; readonly json: string }
  | { readonly kind: 'unavailable'; readonly reason: string };

export interface KeyNeed {
  /** `jwks`: `url` is that of the set; `issuer`: `url` is an issuer whose OpenID configuration leads to it. */
  readonly from: 'jwks' | 'issuer';
  readonly url: string;
  readonly timeoutMs: number;
}

const defaultTimeoutMs = 5000;

/** Undefined: the rule has its keys with it, or nobody says where they are. */
export function keyNeedOf(rule: IstioJwtRule): KeyNeed | undefined {
  const { jwks, jwksUri = rule.jwks_uri, issuer, timeout } = rule;
  if (jwks) return undefined;
  const timeoutMs = milliseconds(timeout) ?? defaultTimeoutMs;
  if (jwksUri) return { from: 'jwks', url: jwksUri, timeoutMs };
  return issuer && URL.canParse(issuer) ? { from: 'issuer', url: issuer, timeoutMs } : undefined;
}

/** The same keys, whoever needs them. */
export function keySetId({ from, url }: Pick<KeyNeed, 'from' | 'url'>): string {
  return `${from} ${url}`;
}
