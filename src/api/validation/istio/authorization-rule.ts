/** One rule of an AuthorizationPolicy: sources, operations and conditions. */
import type { FieldView } from '../../field-view.ts';
import { tryParseIp } from '../../../lib/ip.ts';
import { dns1123Label, dns1123Subdomain } from '../names.ts';
import type { Findings } from '../validation.ts';
import { pathTemplateProblems } from './path-template.ts';

/** Keys of `when`, and whether they carry a name in brackets. */
const conditionKeys: readonly { readonly prefix: string; readonly bracket: boolean }[] = [
  { prefix: 'request.headers', bracket: true },
  { prefix: 'request.auth.claims', bracket: true },
  { prefix: 'experimental.envoy.filters.', bracket: true },
  { prefix: 'source.ip', bracket: false },
  { prefix: 'remote.ip', bracket: false },
  { prefix: 'source.namespace', bracket: false },
  { prefix: 'source.principal', bracket: false },
  { prefix: 'source.serviceAccount', bracket: false },
  { prefix: 'source.trustDomain', bracket: false },
  { prefix: 'request.auth.principal', bracket: false },
  { prefix: 'request.auth.audiences', bracket: false },
  { prefix: 'request.auth.presenter', bracket: false },
  { prefix: 'destination.ip', bracket: false },
  { prefix: 'destination.port', bracket: false },
  { prefix: 'connection.sni', bracket: false },
];

const cidrFields = ['ipBlocks', 'notIpBlocks', 'remoteIpBlocks', 'notRemoteIpBlocks'];
const ipConditions = ['source.ip', 'remote.ip', 'destination.ip'];

/** What a provider cannot be asked about: the proxy decides whether to ask before it knows. */
const notForCustom = ['principals', 'requestPrincipals', 'namespaces', 'serviceAccounts'].flatMap((field) => [
  field,
  `not${field[0]?.toUpperCase()}${field.slice(1)}`,
]);
const keysNotForCustom = /^(source\.(principal|namespace|serviceAccount)$|request\.auth\.)/;

export function checkRule(rule: FieldView, action: string, found: Findings): void {
  if (!rule.exists) found.required(rule, 'must not be null: {} matches everything');
  for (const field of ['from', 'to']) {
    const list = rule.at(field);
    if (Array.isArray(list.value) && list.items().length === 0) {
      found.required(list, 'must not be an empty list: leave it out to match everything');
    }
  }
  for (const from of rule.at('from').items()) {
    checkAttributes(from.at('source'), found);
    checkSource(from.at('source'), action, found);
  }
  for (const to of rule.at('to').items()) {
    checkAttributes(to.at('operation'), found);
    checkOperation(to.at('operation'), found);
  }
  for (const condition of rule.at('when').items()) checkCondition(condition, action, found);
}

/** Something must be said, no list may be empty, and no value may be "". */
function checkAttributes(attributes: FieldView, found: Findings): void {
  if (!attributes.exists) return found.required(attributes);
  const fields = attributes.entries();
  if (fields.length === 0) return found.required(attributes, 'must set at least one field');
  for (const [name] of fields) checkValues(attributes.at(name), found);
}

function checkValues(values: FieldView, found: Findings): void {
  if (!Array.isArray(values.value)) return;
  if (values.value.length === 0) found.required(values, 'must not be an empty list');
  for (const item of values.items()) if (item.text === '') found.invalid(item, 'must not be empty');
}

function checkSource(source: FieldView, action: string, found: Findings): void {
  for (const field of cidrFields) for (const item of source.at(field).items()) checkCidr(item, found);
  const accounts = ['serviceAccounts', 'notServiceAccounts'].filter((field) => source.at(field).exists);
  for (const field of accounts) {
    for (const account of source.at(field).items()) checkServiceAccount(account, found);
    // Two ways to name the same caller in one source would contradict each other silently.
    for (const other of ['principals', 'notPrincipals', 'namespaces', 'notNamespaces']) {
      if (source.at(other).exists) found.forbidden(source.at(field), `may not be set together with \`${other}\``);
    }
  }
  for (const item of [...source.at('principals').items(), ...source.at('notPrincipals').items()]) {
    if (item.text?.startsWith('spiffe://')) found.warn(item, 'matches nobody: write the identity without spiffe://');
  }
  if (action !== 'CUSTOM') return;
  for (const field of notForCustom) {
    if (source.at(field).exists) found.forbidden(source.at(field), 'is not supported with the action CUSTOM');
  }
}

function checkOperation(operation: FieldView, found: Findings): void {
  for (const field of ['ports', 'notPorts']) for (const item of operation.at(field).items()) checkPortText(item, found);
  for (const field of ['paths', 'notPaths']) {
    for (const path of operation.at(field).items()) {
      if (path.text) found.invalidAll(path, pathTemplateProblems(path.text));
    }
  }
}

function checkCondition(condition: FieldView, action: string, found: Findings): void {
  const key = condition.at('key');
  const values = condition.at('values');
  const notValues = condition.at('notValues');
  if (key.text === '') found.required(key);
  else if (key.text !== undefined && !isConditionKey(key.text)) {
    const known = conditionKeys.map(({ prefix, bracket }) => (bracket ? `${prefix}[name]` : prefix));
    found.notSupported(key, known);
  } else if (action === 'CUSTOM' && keysNotForCustom.test(key.text ?? '')) {
    found.forbidden(key, `${key.text} is not supported with the action CUSTOM`);
  }
  if (!values.exists && !notValues.exists) {
    found.required(condition, 'at least one of `values` and `notValues` must be set');
  }
  checkValues(values, found);
  checkValues(notValues, found);
  for (const item of [...values.items(), ...notValues.items()]) {
    if (key.text !== undefined && ipConditions.includes(key.text)) checkCidr(item, found);
    else if (key.text === 'destination.port') checkPortText(item, found);
    else if (key.text === 'source.serviceAccount') checkServiceAccount(item, found);
  }
}

function isConditionKey(key: string): boolean {
  return conditionKeys.some(({ prefix, bracket }) => {
    if (!bracket) return key === prefix;
    const rest = key.startsWith(prefix) ? key.slice(prefix.length) : '';
    return prefix.endsWith('.') ? /^[\w.-]+(\[[^[\]]+\])*$/.test(rest) : /^(\[[^[\]]+\])+$/.test(rest);
  });
}

function checkCidr(item: FieldView, found: Findings): void {
  if (item.text === undefined || item.text === '') return;
  const [ip = '', suffix, ...more] = item.text.split('/');
  const maxBits = ip.includes(':') ? 128 : 32;
  const whole =
    suffix === undefined || (more.length === 0 && /^(0|[1-9]\d{0,2})$/.test(suffix) && Number(suffix) <= maxBits);
  if (!tryParseIp(ip) || !whole) {
    found.invalid(item, 'must be an IP address or a CIDR block, (e.g. 10.9.8.7 or 10.9.8.0/24)');
  }
}

function checkPortText(item: FieldView, found: Findings): void {
  if (item.text === undefined || item.text === '') return;
  const valid = /^[1-9]\d{0,4}$/.test(item.text) && Number(item.text) <= 65_535;
  if (!valid) found.invalid(item, 'must be between 1 and 65535, inclusive');
}

/** `name`, or `namespace/name`. */
function checkServiceAccount(item: FieldView, found: Findings): void {
  if (item.text === undefined || item.text === '') return;
  const parts = item.text.split('/');
  const [first = '', second] = parts;
  if (parts.length > 2) found.invalid(item, 'must be `name` or `namespace/name`');
  else
    found.invalidAll(item, [
      ...dns1123Subdomain(second ?? first),
      ...(second === undefined ? [] : dns1123Label(first)),
    ]);
}
