/** Endpoints that are no pods: addresses, ports, where they are. */
import type { FieldView } from '../../field-view.ts';
import { validateLabels } from '../meta.ts';
import { dns1123Subdomain } from '../names.ts';
import type { Findings } from '../validation.ts';
import { hostProblems, isIp, isLabel } from './hosts.ts';
import { checkPort } from './values.ts';

const unixScheme = 'unix://';

export function isUnix(address: string | undefined): boolean {
  return address?.startsWith(unixScheme) ?? false;
}

/** An absolute path, or an abstract name. */
export function checkUnixAddress(view: FieldView, found: Findings): void {
  const path = (view.text ?? '').slice(unixScheme.length);
  if (!/^[/@]./.test(path) || path.endsWith('/'))
    found.invalid(view, 'must be unix:// and an absolute path of a socket, or unix://@ and a name');
}

/** `names`: IP addresses alone, or DNS names, too; `template`: an address may be missing. */
export function checkEndpoint(endpoint: FieldView, names: 'ip' | 'any' | 'template', found: Findings): void {
  const address = endpoint.at('address');
  if (isUnix(address.text)) {
    checkUnixAddress(address, found);
    if (endpoint.at('ports').entries().length > 0) found.forbidden(endpoint.at('ports'), 'a unix socket has no ports');
  } else if (address.text) {
    if (names === 'ip' && !isIp(address.text))
      found.invalid(address, 'must be an IP address, or unix:// and a path, with this resolution');
    else if (!isIp(address.text) && hostProblems(address.text).length > 0)
      found.invalid(address, 'must be an IP address, a DNS name, or unix:// and a path');
  } else if (names !== 'template') {
    if (!endpoint.at('network').text)
      found.required(address, 'set address, or network if a gateway of that network leads to it');
    else found.warn(endpoint, 'has no address: it can only be reached through a gateway of its network');
  }
  for (const [name, port] of endpoint.at('ports').entries()) {
    if (!isLabel(name)) found.invalid({ ...port, value: name }, "must be the name of a port: letters, digits and '-'");
    checkPort(port, found);
  }
  found.add(validateLabels(endpoint.at('labels')));
  const locality = endpoint.at('locality');
  if (locality.text) {
    const parts = locality.text.split('/');
    if (parts.length > 3 || parts.includes('') || locality.text.includes('*')) {
      found.invalid(locality, "must be region, region/zone or region/zone/subzone, without '*'");
    }
  }
  const account = endpoint.at('serviceAccount');
  if (account.text) found.invalidAll(account, dns1123Subdomain(account.text));
}
