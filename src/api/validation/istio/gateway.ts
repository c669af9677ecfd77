/** Gateway: listeners with hosts, and TLS where the protocol has it. */
import type { FieldView } from '../../field-view.ts';
import { validateLabels } from '../meta.ts';
import { Findings, type Validation } from '../validation.ts';
import { checkScopedHost } from './hosts.ts';
import { checkListenerPort } from './listener-port.ts';
import { checkObject } from './object.ts';
import { isHttp, isTls } from './protocol.ts';
import { checkServerTls } from './server-tls.ts';

export function validateGateway(gateway: FieldView): Validation {
  const found = new Findings();
  const spec = gateway.at('spec');
  checkObject(gateway, found);
  found.add(validateLabels(spec.at('selector')));
  const servers = spec.at('servers').items();
  if (servers.length === 0) found.required(spec.at('servers'), 'name at least one server');
  const names = new Set<string>();
  for (const server of servers) {
    checkServer(server, found);
    const name = server.at('port').at('name');
    if (name.text && names.has(name.text)) found.duplicate(name);
    names.add(name.text ?? '');
  }
  return found;
}

function checkServer(server: FieldView, found: Findings): void {
  const port = server.at('port');
  if (!port.exists) found.required(port);
  else {
    if (!port.at('name').text) found.required(port.at('name'));
    if (!port.at('protocol').text) found.required(port.at('protocol'));
  }
  checkListenerPort(server, found);
  const hosts = server.at('hosts');
  if (hosts.items().length === 0) found.required(hosts, 'name at least one host; "*" serves all');
  for (const host of hosts.items()) checkScopedHost(host, 'gateway', found);
  const tls = server.at('tls');
  const protocol = port.at('protocol').text;
  if (isTls(protocol) && !tls.exists) found.required(tls, `${protocol} needs the settings of TLS`);
  if (!isTls(protocol) && tls.exists) checkPlainTls(tls, protocol, found);
  else checkServerTls(tls, found);
}

/** Without TLS, the one setting is whether clients are sent to HTTPS. */
function checkPlainTls(tls: FieldView, protocol: string | undefined, found: Findings): void {
  const redirect = tls.at('httpsRedirect');
  const fields = tls
    .entries()
    .filter(([name, value]) => name !== 'httpsRedirect' && value.exists && !isDefault(name, value));
  for (const [name] of fields)
    found.forbidden(tls.at(name), `may not be set with protocol ${protocol ?? ''}, which has no TLS: use HTTPS or TLS`);
  if (redirect.boolean && !isHttp(protocol)) found.warn(redirect, 'has no effect: only HTTP servers can redirect');
}

function isDefault(name: string, value: FieldView): boolean {
  return name === 'mode' && value.text === 'PASSTHROUGH';
}
