/** security.istio.io RequestAuthentication: which tokens (JWT) a workload believes. */
import { kinds } from '../../kinds.ts';
import { flag, list, record, text, type JsonSchema } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { about, duration, filledText, ruled, ruledAtMostOne } from './field.ts';
import { istioKind, securityVersions } from './kind.ts';
import { selector } from './selector.ts';
import { targetRef, targetRefs } from './target-ref.ts';

const keysUri = ruled(
  { type: 'string', minLength: 1, maxLength: 2048 } satisfies JsonSchema,
  "isURL(self) && url(self).getScheme() in ['http', 'https']",
  'must be a URL with the scheme http or https',
);

const jwtRule = ruledAtMostOne(
  record({
    issuer: about('Who issued the token: its claim iss, exactly.', filledText),
    audiences: about('Audiences, any of which the token must name; without it, all are taken.', list(filledText)),
    jwksUri: about("Where the issuer's keys are; without it and jwks, found by OpenID discovery from issuer.", keysUri),
    jwks_uri: about('Older spelling of jwksUri.', keysUri),
    jwks: about("The issuer's keys, as the text of a JSON Web Key Set.", text),
    fromHeaders: about(
      'Headers that may hold the token.',
      list(
        record(
          {
            name: about('Name of the header.', filledText),
            prefix: about('What precedes the token, as "Bearer ".', text),
          },
          'name',
        ),
      ),
    ),
    fromParams: about('Query parameters that may hold the token.', list(filledText)),
    fromCookies: about('Cookies that may hold the token.', list(filledText)),
    outputPayloadToHeader: about('Header by which the base64url payload of the token goes to the backend.', text),
    outputClaimToHeaders: about(
      'Claims that go to the backend as headers.',
      list(
        record(
          {
            header: about('Name of the header.', { type: 'string', minLength: 1, pattern: '^[-_A-Za-z0-9]+$' }),
            claim: about('Name of the claim; dots lead into objects.', filledText),
          },
          'header',
          'claim',
        ),
      ),
    ),
    forwardOriginalToken: about('Whether the token stays in the request.', flag),
    timeout: about('How long the fetch of the keys may take; 5s if nothing is said.', duration),
    spaceDelimitedClaims: about('Claims whose text is a list of words, besides scope and permission.', {
      type: 'array',
      maxItems: 64,
      items: filledText,
    }),
  }),
  'jwksUri',
  'jwks_uri',
  'jwks',
);

const spec = about(
  'Which tokens are believed.',
  ruledAtMostOne(
    record({
      selector,
      targetRef,
      targetRefs,
      jwtRules: about('One rule for each issuer. A token that fits none is refused; no token passes unauthenticated.', {
        type: 'array',
        maxItems: 4096,
        items: jwtRule,
      }),
    }),
    'selector',
    'targetRef',
    'targetRefs',
  ),
);

export const requestAuthentication: CustomKind = istioKind(kinds.RequestAuthentication, {
  spec,
  versions: securityVersions,
  shortNames: ['ra'],
});
