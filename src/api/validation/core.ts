/** Validation of the core kinds other than Pod. */
import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { duplicate, forbidden, invalid, required, tooLong, type FieldError } from '../field-error.ts';
import type { FieldView } from '../field-view.ts';
import { checkRequiredText, checkText, immutable, oneOfValues, validateLabels } from './meta.ts';
import {
  configMapKey,
  dns1123Label,
  dns1123Subdomain,
  labelValueProblems,
  portNumber,
  qualifiedName,
} from './names.ts';
import { checkNumber, checkNumberOrName } from './pod.ts';

const serviceTypes = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const protocols = ['SCTP', 'TCP', 'UDP'];
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const dataBytes = 1024 * 1024;
const validIp = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';

export function validateService(service: FieldView, old: FieldView | undefined): FieldError[] {
  const spec = service.at('spec');
  const type = spec.at('type').text ?? 'ClusterIP';
  const clusterIp = spec.at('clusterIP');
  const headless = clusterIp.text === 'None';
  const errors = [
    ...oneOfValues(spec.at('type'), serviceTypes),
    ...oneOfValues(spec.at('sessionAffinity'), ['ClientIP', 'None']),
  ];
  errors.push(...oneOfValues(spec.at('internalTrafficPolicy'), ['Cluster', 'Local']));
  errors.push(...oneOfValues(spec.at('externalTrafficPolicy'), ['Cluster', 'Local']));
  errors.push(...oneOfValues(spec.at('ipFamilyPolicy'), ['PreferDualStack', 'RequireDualStack', 'SingleStack']));
  for (const family of spec.at('ipFamilies').items()) errors.push(...oneOfValues(family, ['IPv4', 'IPv6']));
  errors.push(...validateLabels(spec.at('selector')));
  if (spec.at('ports').items().length === 0 && !headless && type !== 'ExternalName')
    errors.push(required(spec.at('ports').path));
  errors.push(...validateServicePorts(spec.at('ports')));
  if (type === 'ExternalName') {
    errors.push(...checkRequiredText(spec.at('externalName'), dns1123Subdomain));
    if (clusterIp.text) errors.push(forbidden(clusterIp.path, 'may not be set for ExternalName services'));
  } else if (clusterIp.text && !headless && isIP(clusterIp.text) === 0)
    errors.push(invalid(`${spec.path}.clusterIPs[0]`, clusterIp.value, validIp));
  if (headless && (type === 'NodePort' || type === 'LoadBalancer')) {
    errors.push(invalid(`${spec.path}.clusterIPs[0]`, 'None', `may not be set to 'None' for ${type} services`));
  }
  for (const ip of spec.at('externalIPs').items()) {
    if (ip.text !== undefined && isIP(ip.text) === 0) errors.push(invalid(ip.path, ip.value, validIp));
  }
  const timeout = spec.at('sessionAffinityConfig').at('clientIP').at('timeoutSeconds');
  if (timeout.number !== undefined && (timeout.number <= 0 || timeout.number > 86_400)) {
    errors.push(invalid(timeout.path, timeout.value, 'must be greater than 0 and less than 86400'));
  }
  const before = old?.at('spec').at('clusterIP').text;
  const keeps = type !== 'ExternalName' && old?.at('spec').at('type').text !== 'ExternalName';
  if (keeps && before && clusterIp.text !== before) {
    errors.push(invalid(`${spec.path}.clusterIPs[0]`, [clusterIp.text ?? ''], 'may not change once set'));
  }
  return errors;
}

function validateServicePorts(ports: FieldView): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  const numbers = new Set<string>();
  const count = ports.items().length;
  for (const port of ports.items()) {
    const name = port.at('name');
    if (!name.text) {
      if (count > 1) errors.push(required(name.path));
    } else {
      errors.push(...checkText(name, dns1123Label));
      if (names.has(name.text)) errors.push(duplicate(name.path, name.text));
      names.add(name.text);
    }
    const number = port.at('port');
    if (!number.exists) errors.push(invalid(number.path, 0, 'must be between 1 and 65535, inclusive'));
    else errors.push(...checkNumber(number));
    errors.push(...oneOfValues(port.at('protocol'), protocols));
    const target = port.at('targetPort');
    if (target.exists) errors.push(...checkNumberOrName(target));
    const key = `${port.at('protocol').text ?? 'TCP'}/${number.number}`;
    if (number.exists && numbers.has(key)) {
      errors.push(
        duplicate(port.path, {
          ...(name.text ? { name: name.text } : {}),
          protocol: port.at('protocol').text ?? 'TCP',
          port: number.number,
        }),
      );
    }
    numbers.add(key);
  }
  return errors;
}

export function validateConfigMap(configMap: FieldView, old: FieldView | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const data = configMap.at('data');
  const binary = configMap.at('binaryData');
  let bytes = 0;
  for (const [key, value] of data.entries()) {
    errors.push(...configMapKey(key).map((problem) => invalid(value.path, key, problem)));
    if (binary.at(key).exists) errors.push(invalid(value.path, key, `duplicate of key present in ${binary.path}`));
    bytes += Buffer.byteLength(value.text ?? '');
  }
  for (const [key, value] of binary.entries()) {
    errors.push(...configMapKey(key).map((problem) => invalid(value.path, key, problem)));
    if (value.text !== undefined && !base64.test(value.text)) errors.push(invalid(value.path, key, 'must be base64'));
    bytes += ((value.text ?? '').length * 3) / 4;
  }
  if (bytes > dataBytes) errors.push(tooLong('', dataBytes));
  return [...errors, ...frozenWhenImmutable(configMap, old, ['data', 'binaryData'])];
}

export function validateSecret(secret: FieldView, old: FieldView | undefined): FieldError[] {
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const [key, value] of secret.at('data').entries()) {
    errors.push(...configMapKey(key).map((problem) => invalid(value.path, key, problem)));
    // The value is a secret: it is not repeated.
    if (value.text !== undefined && !base64.test(value.text))
      errors.push(invalid(value.path, '<redacted>', 'must be base64'));
    bytes += ((value.text ?? '').length * 3) / 4;
  }
  if (bytes > dataBytes) errors.push(tooLong('data', dataBytes));
  if (secret.at('type').text === 'kubernetes.io/tls') {
    for (const key of ['tls.crt', 'tls.key'])
      if (!secret.at('data').at(key).exists) errors.push(required(`data[${key}]`));
  }
  if (old) errors.push(...immutable(secret.at('type'), old.at('type')));
  return [...errors, ...frozenWhenImmutable(secret, old, ['data'])];
}

function frozenWhenImmutable(now: FieldView, old: FieldView | undefined, fields: readonly string[]): FieldError[] {
  if (old?.at('immutable').boolean !== true) return [];
  const detail = 'field is immutable when `immutable` is set';
  const errors = now.at('immutable').boolean === true ? [] : [forbidden('immutable', detail)];
  for (const field of fields) {
    if (!isDeepStrictEqual(now.at(field).value, old.at(field).value)) errors.push(forbidden(field, detail));
  }
  return errors;
}

export function validateNode(node: FieldView): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const taint of node.at('spec').at('taints').items()) {
    errors.push(...checkText(taint.at('key'), qualifiedName), ...checkText(taint.at('value'), labelValueProblems));
    errors.push(...oneOfValues(taint.at('effect'), ['NoSchedule', 'PreferNoSchedule', 'NoExecute']));
    const key = `${taint.at('key').text}:${taint.at('effect').text}`;
    if (seen.has(key)) errors.push(duplicate(taint.path, taint.value));
    seen.add(key);
  }
  return errors;
}

export function validateEvent(event: FieldView): FieldError[] {
  const namespace = event.at('metadata').at('namespace').text;
  const involved = event.at('involvedObject').at('namespace');
  // Events of cluster-scoped objects live in `default`.
  const expected = involved.text ? involved.text : 'default';
  if (!event.at('involvedObject').exists || namespace === expected || !involved.text) return [];
  return [invalid(involved.path, involved.value, 'does not match event.namespace')];
}

export function validateEndpointSlice(slice: FieldView, old: FieldView | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const type = slice.at('addressType');
  const endpoints = slice.at('endpoints');
  if (old) errors.push(...immutable(type, old.at('addressType')));
  if (endpoints.items().length > 1000)
    errors.push({
      path: endpoints.path,
      reason: 'FieldValueTooMany',
      message: `Too many: ${endpoints.items().length}: must have at most 1000 items`,
    });
  for (const endpoint of endpoints.items()) {
    const addresses = endpoint.at('addresses');
    if (addresses.items().length === 0) errors.push(required(addresses.path, 'must contain at least 1 address'));
    for (const address of addresses.items()) errors.push(...validateAddress(address, type.text));
    errors.push(
      ...checkText(endpoint.at('hostname'), dns1123Label),
      ...checkText(endpoint.at('nodeName'), dns1123Subdomain),
    );
  }
  const names = new Set<string>();
  for (const port of slice.at('ports').items()) {
    const name = port.at('name');
    if (name.text) errors.push(...checkText(name, dns1123Label));
    if (names.has(name.text ?? '')) errors.push(duplicate(name.path, name.text ?? ''));
    names.add(name.text ?? '');
    const number = port.at('port');
    if (number.number !== undefined)
      errors.push(...portNumber(number.number).map((problem) => invalid(number.path, number.value, problem)));
  }
  return errors;
}

function validateAddress(address: FieldView, type: string | undefined): FieldError[] {
  if (address.text === undefined) return [];
  if (type === 'FQDN') return checkText(address, dns1123Subdomain);
  const wanted = type === 'IPv6' ? 6 : 4;
  if (isIP(address.text) !== wanted)
    return [invalid(address.path, address.value, `must be a valid IPv${wanted} address`)];
  const local = address.text.startsWith('127.') || address.text === '::1';
  return local ? [invalid(address.path, address.value, 'may not be in the loopback range (127.0.0.0/8, ::1/128)')] : [];
}
