/** What a route of a VirtualService matches. */
import type { FieldView } from '../../field-view.ts';
import { validateLabels } from '../meta.ts';
import type { Findings } from '../validation.ts';
import { hostProblems, isLabel } from './hosts.ts';
import { checkPresentMatch, checkStringMatch } from './string-match.ts';
import { checkHeaderName, checkPort, checkSubnet } from './values.ts';

/** Name of the gateway that stands for all clients inside of the mesh. */
export const meshGateway = 'mesh';

/** A header of this name stands for a claim of the token: `@request.auth.claims.a.b`, `@request.auth.claims[a][b]`. */
const claim = /^@request\.auth\.claims(?:\.[^\s.[\]]+(?:\.[^\s.[\]]+)*|(?:\[[^\s[\]]+\])+)$/;

function isClaim(header: string): boolean {
  return header.startsWith('@request.auth.claims');
}

export function checkHttpMatch(match: FieldView, found: Findings): void {
  for (const field of ['uri', 'scheme', 'method', 'authority']) checkStringMatch(match.at(field), found);
  for (const field of ['headers', 'withoutHeaders']) {
    for (const [name, value] of match.at(field).entries()) {
      if (!isClaim(name)) checkHeaderName(value, name, found);
      else if (!claim.test(name))
        found.invalid(
          { ...value, value: name },
          'must name a claim, as @request.auth.claims.group or @request.auth.claims[group]',
        );
      checkPresentMatch(value, found);
    }
  }
  for (const [, value] of match.at('queryParams').entries()) checkPresentMatch(value, found);
  const prefix = match.at('statPrefix');
  if (prefix.text !== undefined && prefix.text.trim() === '') found.invalid(prefix, 'must not be empty');
  checkClient(match, found);
}

/** tcp and tls. */
export function checkL4Match(match: FieldView, found: Findings): void {
  for (const subnet of match.at('destinationSubnets').items()) checkSubnet(subnet, found);
  if (match.at('sourceSubnet').text) found.warn(match.at('sourceSubnet'), 'is no longer in use and has no effect');
  checkClient(match, found);
}

function checkClient(match: FieldView, found: Findings): void {
  checkPort(match.at('port'), found);
  found.add(validateLabels(match.at('sourceLabels')));
  checkGatewayNames(match.at('gateways'), found);
}

/** `mesh`, `name` or `namespace/name`. */
export function checkGatewayNames(gateways: FieldView, found: Findings): void {
  for (const item of gateways.items()) {
    const text = item.text ?? '';
    const [namespace = '', name, ...more] = text.split('/');
    if (text === '') found.invalid(item, 'must not be empty');
    else if (name === undefined) {
      found.invalidAll(item, hostProblems(text));
      if (text.includes('.')) found.warn(item, 'write the gateway as namespace/name: dots are of an older form');
    } else if (!isLabel(namespace) || hostProblems(name).length > 0 || more.length > 0) {
      found.invalid(item, 'must be name, namespace/name or mesh');
    }
  }
}
