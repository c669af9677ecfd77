/** RequestAuthentication: rules for tokens that can be checked. */
import type { FieldView } from '../../field-view.ts';
import { Findings, type Validation } from '../validation.ts';
import { checkAttachment } from './attachment.ts';
import { jwksProblems } from './jwks.ts';
import { checkObject } from './object.ts';
import { checkDuration, checkHeaderName } from './values.ts';

const keySources = ['jwksUri', 'jwks_uri', 'jwks'];

export function validateRequestAuthentication(policy: FieldView): Validation {
  const found = new Findings();
  const spec = policy.at('spec');
  checkObject(policy, found);
  checkAttachment(spec, found);
  for (const rule of spec.at('jwtRules').items()) checkJwtRule(rule, found);
  return found;
}

function checkJwtRule(rule: FieldView, found: Findings): void {
  const issuer = rule.at('issuer');
  const given = keySources.filter((field) => rule.at(field).exists);
  if (!issuer.text && given.length === 0) found.required(issuer, 'set issuer, or jwksUri if any issuer will do');
  else if (issuer.text && given.length === 0 && !isHttpUrl(issuer.text)) {
    found.warn(issuer, 'is no URL, so the keys cannot be discovered from it: set jwksUri or jwks');
  }
  for (const field of given.slice(1)) found.forbidden(rule.at(field), `may not be set together with \`${given[0]}\``);
  for (const field of ['jwksUri', 'jwks_uri']) {
    const uri = rule.at(field);
    if (uri.text !== undefined && !isHttpUrl(uri.text))
      found.invalid(uri, 'must be a URL with the scheme http or https, and a host');
  }
  const { problems, hasPrivateKey } = jwksProblems(rule.at('jwks').text);
  // The value may hold a key that nobody else should see.
  found.invalidAll({ ...rule.at('jwks'), value: '<redacted>' }, problems);
  if (hasPrivateKey)
    found.warn(
      rule.at('jwks'),
      'holds a private key: use the public one, and replace this pair, since it has been written down here',
    );
  for (const field of ['audiences', 'fromParams', 'fromCookies', 'spaceDelimitedClaims']) {
    for (const item of rule.at(field).items()) if (item.text === '') found.invalid(item, 'must not be empty');
  }
  for (const header of rule.at('fromHeaders').items()) {
    if (!header.at('name').text) found.required(header.at('name'));
    else checkHeaderName(header.at('name'), header.at('name').text ?? '', found);
  }
  for (const output of rule.at('outputClaimToHeaders').items()) {
    for (const field of ['header', 'claim']) if (!output.at(field).text) found.required(output.at(field));
    const header = output.at('header');
    if (header.text) checkHeaderName(header, header.text, found);
  }
  const payload = rule.at('outputPayloadToHeader');
  if (payload.text) checkHeaderName(payload, payload.text, found);
  checkDuration(rule.at('timeout'), found);
}

function isHttpUrl(text: string): boolean {
  if (!/^https?:\/\/[^/?#]/i.test(text) || /\s/.test(text)) return false;
  return URL.canParse(text);
}
