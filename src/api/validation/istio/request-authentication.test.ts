import { requestAuthentication } from '../../custom/istio/request-authentication.ts';
import { validateRequestAuthentication } from './request-authentication.ts';
import { describeValidator } from './validator-table.ts';

describeValidator(requestAuthentication, validateRequestAuthentication, {
  fine: {
    'trusts an issuer': {
      selector: { matchLabels: { istio: 'ingressgateway' } },
      jwtRules: [
        {
          issuer: 'testing@secure.istio.io',
          jwksUri: 'https://example.com/jwks.json',
          audiences: ['shop'],
          fromHeaders: [{ name: 'x-jwt', prefix: 'Bearer ' }],
          fromParams: ['token'],
          outputClaimToHeaders: [{ header: 'x-sub', claim: 'sub' }],
          timeout: '5s',
        },
      ],
    },
    'discovers the keys': { jwtRules: [{ issuer: 'https://accounts.google.com' }] },
    'has the keys': {
      jwtRules: [
        { issuer: 'a', jwks: '{"keys":[{"kty":"RSA","e":"AQAB","n":"x"},{"kty":"EC","crv":"P-256","x":"a","y":"b"}]}' },
      ],
    },
    'takes any issuer': { jwtRules: [{ jwksUri: 'https://example.com/jwks.json' }] },
  },
  judged: {
    'trusts nobody in particular': [
      { jwtRules: [{}] },
      'spec.jwtRules[0].issuer: Required value: set issuer, or jwksUri if any issuer will do',
    ],
    'cannot find the keys': [
      { jwtRules: [{ issuer: 'me' }] },
      'W spec.jwtRules[0].issuer: is no URL, so the keys cannot be discovered from it: set jwksUri or jwks',
    ],
    'has two places for the keys': [
      { jwtRules: [{ issuer: 'a', jwksUri: 'https://x/', jwks: '{"keys":[]}' }] },
      'spec.jwtRules[0].jwks: Forbidden: may not be set together with `jwksUri`',
    ],
    'has a place for the keys that is none': [
      {
        jwtRules: [
          { issuer: 'a', jwksUri: 'ftp://x/' },
          { issuer: 'a', jwksUri: 'https:///x' },
        ],
      },
      'spec.jwtRules[0].jwksUri: Invalid value: "ftp://x/": must be a URL with the scheme http or https, and a host',
      'spec.jwtRules[1].jwksUri: Invalid value: "https:///x": must be a URL with the scheme http or https, and a host',
    ],
    'has keys that are none': [
      {
        jwtRules: [
          { issuer: 'a', jwks: 'x' },
          { issuer: 'a', jwks: '[]' },
          { issuer: 'a', jwks: '{"keys":[{"kty":"RSA","n":"x"},{"kty":"?"},1]}' },
        ],
      },
      'spec.jwtRules[0].jwks: Invalid value: "<redacted>": must be a JSON Web Key Set: it is not JSON',
      'spec.jwtRules[1].jwks: Invalid value: "<redacted>": must be a JSON Web Key Set: it has no list `keys`',
      'spec.jwtRules[2].jwks: Invalid value: "<redacted>": must be a JSON Web Key Set: keys[0] has no `e`',
      'spec.jwtRules[2].jwks: Invalid value: "<redacted>": must be a JSON Web Key Set: keys[1] has no type (`kty`) out of RSA, EC, OKP, oct',
      'spec.jwtRules[2].jwks: Invalid value: "<redacted>": must be a JSON Web Key Set: keys[2] is no object',
    ],
    'gives away a private key': [
      { jwtRules: [{ issuer: 'a', jwks: '{"keys":[{"kty":"RSA","n":"x","e":"y","d":"secret"}]}' }] },
      'W spec.jwtRules[0].jwks: holds a private key: use the public one, and replace this pair, since it has been written down here',
    ],
    'has empty values': [
      {
        jwtRules: [
          {
            issuer: 'https://a',
            audiences: [''],
            fromParams: [''],
            fromCookies: [''],
            spaceDelimitedClaims: [''],
            fromHeaders: [{}],
            outputClaimToHeaders: [{ header: '' }],
          },
        ],
      },
      'spec.jwtRules[0].audiences[0]: Invalid value: "": must not be empty',
      'spec.jwtRules[0].fromParams[0]: Invalid value: "": must not be empty',
      'spec.jwtRules[0].fromCookies[0]: Invalid value: "": must not be empty',
      'spec.jwtRules[0].spaceDelimitedClaims[0]: Invalid value: "": must not be empty',
      'spec.jwtRules[0].fromHeaders[0].name: Required value',
      'spec.jwtRules[0].outputClaimToHeaders[0].header: Required value',
      'spec.jwtRules[0].outputClaimToHeaders[0].claim: Required value',
    ],
    'has headers that are none': [
      {
        jwtRules: [
          {
            issuer: 'https://a',
            fromHeaders: [{ name: 'a b' }],
            outputClaimToHeaders: [{ header: 'x:y', claim: 'c' }],
            outputPayloadToHeader: 'é',
          },
        ],
      },
      `spec.jwtRules[0].fromHeaders[0].name: Invalid value: "a b": a header name has letters, digits, '-' and '_'`,
      `spec.jwtRules[0].outputClaimToHeaders[0].header: Invalid value: "x:y": a header name has letters, digits, '-' and '_'`,
      `spec.jwtRules[0].outputPayloadToHeader: Invalid value: "é": a header name has letters, digits, '-' and '_'`,
    ],
    'has no time': [
      { jwtRules: [{ issuer: 'https://a', timeout: '1us' }] },
      'spec.jwtRules[0].timeout: Invalid value: "1us": must be a duration of at least 1ms',
    ],
    'selects and targets': [
      { selector: { matchLabels: { a: 'b' } }, targetRef: { kind: 'Service', name: 'x' }, jwtRules: [] },
      'spec.targetRef: Forbidden: may not be set together with `selector`',
    ],
  },
});
