/** VirtualService: hosts and gateways that fit together, and routes that lead somewhere. */
import type { FieldView } from '../../field-view.ts';
import { Findings, type Validation } from '../validation.ts';
import { checkDestination, checkWeights } from './destination.ts';
import { hostCovers, hostsOverlap, isIp, wildcardHostProblems } from './hosts.ts';
import { checkHttpRoute } from './http-route.ts';
import { checkObject } from './object.ts';
import { checkGatewayNames, checkL4Match, meshGateway } from './route-match.ts';
import { warnOfUnreachable } from './unreachable.ts';
import { checkExportTo } from './values.ts';

export function validateVirtualService(object: FieldView): Validation {
  const found = new Findings();
  const spec = object.at('spec');
  const hosts = spec.at('hosts').items();
  const gateways = spec.at('gateways').items();
  const isDelegate = hosts.length === 0;
  checkObject(object, found);
  checkGatewayNames(spec.at('gateways'), found);
  if (isDelegate) checkDelegate(spec, found);
  else checkHosts(hosts, gateways.length === 0 || gateways.some(({ text }) => text === meshGateway), found);
  if (['http', 'tls', 'tcp'].every((field) => spec.at(field).items().length === 0)) {
    found.required(spec, 'one of `http`, `tls` and `tcp` must have a route');
  }
  for (const route of spec.at('http').items()) checkHttpRoute(route, isDelegate, found);
  for (const route of spec.at('tls').items()) checkTlsRoute(route, hosts, found);
  for (const route of spec.at('tcp').items()) checkTcpRoute(route, found);
  checkExportTo(spec.at('exportTo'), { namespace: object.at('metadata').at('namespace').text }, found);
  warnOfUnreachable(spec.at('http'), found);
  return found;
}

function checkDelegate(spec: FieldView, found: Findings): void {
  for (const field of ['gateways', 'tls', 'tcp']) {
    if (spec.at(field).items().length > 0) {
      found.forbidden(
        spec.at(field),
        'may not be set without `hosts`: the VirtualService is a delegate, which has http routes alone',
      );
    }
  }
}

function checkHosts(hosts: readonly FieldView[], isForMesh: boolean, found: Findings): void {
  const before = found.errors.length;
  for (const host of hosts) {
    if (host.text === undefined || isIp(host.text)) continue;
    if (host.text === '*' && isForMesh)
      found.invalid(host, 'must name a host: * is for gateways alone, not for clients inside of the mesh');
    else found.invalidAll(host, wildcardHostProblems(host.text));
  }
  if (found.errors.length > before) return;
  for (const [i, host] of hosts.entries()) {
    const other = hosts.slice(0, i).find(({ text }) => hostsOverlap(text ?? '', host.text ?? ''));
    if (other) found.invalid(host, `overlaps with ${other.path} ${JSON.stringify(other.text)}: name each host once`);
  }
}

function checkTlsRoute(route: FieldView, hosts: readonly FieldView[], found: Findings): void {
  const matches = route.at('match').items();
  if (matches.length === 0) found.required(route.at('match'), 'a tls route needs a match with sniHosts');
  for (const match of matches) {
    const names = match.at('sniHosts').items();
    if (names.length === 0) found.required(match.at('sniHosts'), 'name the server names that the route is for');
    for (const name of names) checkSniHost(name, hosts, found);
    checkL4Match(match, found);
  }
  checkRoutes(route, found);
}

function checkSniHost(name: FieldView, hosts: readonly FieldView[], found: Findings): void {
  if (name.text === undefined) return;
  if (isIp(name.text)) found.warn(name, 'is an IP address, which most clients do not send as server name');
  else found.invalidAll(name, wildcardHostProblems(name.text));
  if (hosts.length > 0 && !hosts.some(({ text }) => hostCovers(text ?? '', name.text ?? ''))) {
    found.invalid(name, 'must be one of the hosts of the VirtualService, or within one of its wildcards');
  }
}

function checkTcpRoute(route: FieldView, found: Findings): void {
  for (const match of route.at('match').items()) checkL4Match(match, found);
  checkRoutes(route, found);
}

function checkRoutes(route: FieldView, found: Findings): void {
  const routes = route.at('route');
  if (routes.items().length === 0) found.required(routes, 'say where connections go');
  for (const item of routes.items()) checkDestination(item.at('destination'), found);
  checkWeights(routes, found);
}
