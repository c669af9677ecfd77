/** ServiceEntry: hosts, ports and endpoints that the way of resolution can do something with. */
import type { FieldView } from '../../field-view.ts';
import { Findings, type Validation } from '../validation.ts';
import { checkEndpoint, isUnix } from './endpoint.ts';
import { hostProblems, wildcardHostProblems } from './hosts.ts';
import { checkObject } from './object.ts';
import { checkProtocol, isHttp, isTcp, isTls } from './protocol.ts';
import { checkExportTo, checkPort, checkSubnet, checkWorkloadSelector } from './values.ts';

export function validateServiceEntry(entry: FieldView): Validation {
  const found = new Findings();
  const spec = entry.at('spec');
  const resolution = spec.at('resolution').text ?? 'NONE';
  checkObject(entry, found);
  checkHosts(spec.at('hosts'), found);
  checkAddresses(spec.at('addresses'), resolution, found);
  checkPorts(spec, resolution, found);
  const selector = spec.at('workloadSelector');
  if (selector.exists && spec.at('endpoints').exists)
    found.forbidden(spec.at('endpoints'), 'may not be set together with `workloadSelector`');
  checkWorkloadSelector(selector, found);
  checkResolution(spec, resolution, found);
  checkEndpointPorts(spec, found);
  checkExportTo(spec.at('exportTo'), { namespace: entry.at('metadata').at('namespace').text, nobody: true }, found);
  for (const name of spec.at('subjectAltNames').items()) if (name.text === '') found.invalid(name, 'must not be empty');
  return found;
}

function checkHosts(hosts: FieldView, found: Findings): void {
  if (hosts.items().length === 0) found.required(hosts, 'name at least one host');
  for (const host of hosts.items()) {
    if (host.text === '*') found.invalid(host, 'must name a host: * would be every host there is');
    else found.invalidAll(host, wildcardHostProblems(host.text ?? ''));
    if (/^\*[^.]/.test(host.text ?? ''))
      found.warn(host, "a '*' that is only a part of a label is not matched by every proxy: use *. and a name");
  }
}

function checkAddresses(addresses: FieldView, resolution: string, found: Findings): void {
  for (const address of addresses.items()) {
    checkSubnet(address, found);
    if (address.text?.includes('/') && resolution !== 'NONE' && resolution !== 'STATIC') {
      found.invalid(address, 'must be a single address: blocks are for the resolution NONE or STATIC alone');
    }
  }
}

function checkPorts(spec: FieldView, resolution: string, found: Findings): void {
  const names = new Set<string>();
  const numbers = new Set<number>();
  const hosts = spec.at('hosts').items();
  const noAddresses = spec.at('addresses').items().length === 0;
  for (const port of spec.at('ports').items()) {
    const [name, number, protocol] = [port.at('name'), port.at('number'), port.at('protocol')];
    if (!name.text) found.required(name);
    else if (names.has(name.text)) found.duplicate(name);
    if (number.number === undefined) found.required(number);
    else if (numbers.has(number.number)) found.duplicate(number);
    names.add(name.text ?? '');
    numbers.add(number.number ?? 0);
    checkPort(number, found);
    checkPort(port.at('targetPort'), found);
    checkProtocol(protocol, found);
    if (!noAddresses) continue;
    if (hosts.length > 1 && !isHttp(protocol.text) && !isTls(protocol.text)) {
      found.invalid(
        port,
        'several hosts can only share a port of HTTP or TLS, which name the host: give addresses, or a ServiceEntry to each host',
      );
    } else if (isTcp(protocol.text) && resolution !== 'DYNAMIC_DNS') {
      found.warn(port, 'carries TCP, by which hosts cannot be told apart: give the ServiceEntry addresses (IST0134)');
    }
  }
}

function checkResolution(spec: FieldView, resolution: string, found: Findings): void {
  const endpoints = spec.at('endpoints').items();
  const hosts = spec.at('hosts').items();
  switch (resolution) {
    case 'NONE':
      if (endpoints.length > 0)
        found.forbidden(
          spec.at('endpoints'),
          'may not be set with resolution NONE, which goes where the client connected to: use STATIC or DNS',
        );
      for (const endpoint of endpoints) checkEndpoint(endpoint, 'any', found);
      break;
    case 'STATIC':
      for (const endpoint of endpoints) checkEndpoint(endpoint, 'ip', found);
      if (endpoints.some((endpoint) => isUnix(endpoint.at('address').text)) && spec.at('ports').items().length !== 1) {
        found.invalid(
          { ...spec.at('ports'), value: spec.at('ports').items().length },
          'must be exactly one port when an endpoint is a unix socket',
        );
      }
      break;
    case 'DNS':
    case 'DNS_ROUND_ROBIN':
      if (endpoints.length === 0) {
        for (const host of hosts) {
          if (hostProblems(host.text ?? '').length > 0)
            found.invalid(host, `must be a whole DNS name with resolution ${resolution}, or endpoints must be set`);
        }
      }
      for (const endpoint of endpoints) {
        checkEndpoint(endpoint, 'any', found);
        if (isUnix(endpoint.at('address').text))
          found.invalid(endpoint.at('address'), `must be a DNS name or an IP address with resolution ${resolution}`);
      }
      if (resolution === 'DNS_ROUND_ROBIN') {
        if (endpoints.length > 1)
          found.forbidden(spec.at('endpoints'), 'may have at most one item with resolution DNS_ROUND_ROBIN');
        if (hosts.length > 1)
          found.warn(
            spec.at('hosts'),
            'only the first host is resolved with DNS_ROUND_ROBIN: make a ServiceEntry for each',
          );
      }
      break;
    case 'DYNAMIC_DNS':
      checkDynamicDns(spec, found);
      break;
    default:
      // The schema refuses it.
      break;
  }
}

function checkDynamicDns(spec: FieldView, found: Findings): void {
  for (const host of spec.at('hosts').items()) {
    if (!host.text?.startsWith('*.'))
      found.invalid(host, 'must begin with *. when resolution is DYNAMIC_DNS: use DNS for a whole name');
  }
  for (const field of ['addresses', 'endpoints']) {
    if (spec.at(field).items().length > 0)
      found.forbidden(
        spec.at(field),
        'may not be set with resolution DYNAMIC_DNS, which resolves the host of each request',
      );
  }
  for (const port of spec.at('ports').items()) {
    const protocol = port.at('protocol');
    if (!isHttp(protocol.text) && !isTls(protocol.text))
      found.invalid(
        protocol,
        'must be HTTP, HTTP2, GRPC or TLS with resolution DYNAMIC_DNS, which needs the host of each request',
      );
  }
  if (spec.at('location').text === 'MESH_INTERNAL')
    found.warn(
      spec.at('location'),
      'hosts of the mesh are not reached by DYNAMIC_DNS, whose waypoint refuses their addresses: MESH_EXTERNAL says so',
    );
}

/** An endpoint's ports are ports of the service. */
function checkEndpointPorts(spec: FieldView, found: Findings): void {
  const known = spec
    .at('ports')
    .items()
    .map((port) => port.at('name').text);
  for (const endpoint of spec.at('endpoints').items()) {
    for (const [name, port] of endpoint.at('ports').entries()) {
      if (!known.includes(name))
        found.invalid({ ...port, value: name }, 'must be the name of a port of the ServiceEntry');
    }
  }
}
