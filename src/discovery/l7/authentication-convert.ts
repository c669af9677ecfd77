/** RequestAuthentication -> what an L7 proxy verifies tokens by (ambient-l7, 2.7 and 3.4). */
import type { RequestAuthentication as IstioRequestAuthentication } from '../../api/istio.ts';
import type { JwtRule, RequestAuthentication } from '../../api/l7/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { shownUrl } from '../../lib/shown-url.ts';
import { parseJwks } from '../../policy/jwt-keys.ts';
import { keyNeedOf, keySetId, type IstioJwtRule, type KeySet } from './authentication-keys.ts';
import { originOf } from './l7-services.ts';

export interface AuthenticationConversion {
  readonly policy: RequestAuthentication;
  /** One line for each issuer whose tokens all fail. */
  readonly notes: readonly string[];
}

/** `keySet`: what is known under an id of `keySetId`; undefined: nothing yet. */
export function convertAuthentication(
  policy: IstioRequestAuthentication,
  keySet: (id: string) => KeySet | undefined,
): AuthenticationConversion {
  const { name = '', namespace = '' } = policy.metadata;
  const rules = (policy.spec?.jwtRules ?? []).map((rule) => jwtRule(rule, keySet));
  return {
    policy: {
      kind: 'authentication',
      name: `${namespace}/${name}`,
      origin: originOf('RequestAuthentication', policy),
      rules,
    },
    notes: rules.flatMap(({ keys, issuer }, i) =>
      keys.kind === 'unavailable'
        ? [`jwtRules[${i}]: no token of ${issuer || 'any issuer'} is accepted: ${keys.reason}`]
        : [],
    ),
  };
}

function jwtRule(rule: IstioJwtRule, keySet: (id: string) => KeySet | undefined): JwtRule {
  const { outputPayloadToHeader } = rule;
  const need = keyNeedOf(rule);
  return {
    issuer: rule.issuer ?? '',
    audiences: rule.audiences ?? [],
    keys: keysOf(rule, keySet),
    ...(need ? { keySet: keySetId(need) } : {}),
    fromHeaders: (rule.fromHeaders ?? []).map(({ name, prefix = '' }) => ({ name: name.toLowerCase(), prefix })),
    fromParams: rule.fromParams ?? [],
    fromCookies: rule.fromCookies ?? [],
    ...(outputPayloadToHeader ? { outputPayloadToHeader: outputPayloadToHeader.toLowerCase() } : {}),
    outputClaimToHeaders: (rule.outputClaimToHeaders ?? []).map(({ header, claim }) => ({
      header: header.toLowerCase(),
      claim: claim.split('.'),
    })),
    forwardOriginalToken: rule.forwardOriginalToken ?? false,
    spaceDelimitedClaims: rule.spaceDelimitedClaims ?? [],
  };
}

function keysOf(rule: IstioJwtRule, keySet: (id: string) => KeySet | undefined): KeySet {
  if (rule.jwks) return usable(rule.jwks);
  const need = keyNeedOf(rule);
  if (!need) return { kind: 'unavailable', reason: 'nothing says where its keys are: set jwksUri or jwks' };
  const known = keySet(keySetId(need));
  if (!known) return { kind: 'unavailable', reason: `the keys at ${shownUrl(need.url)} have not been fetched yet` };
  return known;
}

/** What a proxy could not use would keep it from taking the whole configuration. */
function usable(json: string): KeySet {
  try {
    if (parseJwks(json).length > 0) return { kind: 'jwks', json };
    return { kind: 'unavailable', reason: 'its key set holds no key that can verify a signature' };
  } catch (error) {
    return { kind: 'unavailable', reason: messageOf(error) };
  }
}
