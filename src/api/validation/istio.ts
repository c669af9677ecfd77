/** Validation of AuthorizationPolicy and PeerAuthentication: what Istio refuses, and what it lets pass and then misreads. */
import { forbidden, invalid, notSupported, required, type FieldError } from '../field-error.ts';
import type { FieldView } from '../field-view.ts';
import { tryParseIp } from '../../lib/ip.ts';
import { validateLabels } from './meta.ts';
import { dns1123Label, dns1123Subdomain } from './names.ts';

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
  { prefix: 'request.auth.principal', bracket: false },
  { prefix: 'request.auth.audiences', bracket: false },
  { prefix: 'request.auth.presenter', bracket: false },
  { prefix: 'destination.ip', bracket: false },
  { prefix: 'destination.port', bracket: false },
  { prefix: 'connection.sni', bracket: false },
];

const cidrFields = ['ipBlocks', 'notIpBlocks', 'remoteIpBlocks', 'notRemoteIpBlocks'];
const ipConditions = ['source.ip', 'remote.ip', 'destination.ip'];

export function validateAuthorizationPolicy(policy: FieldView): FieldError[] {
  const spec = policy.at('spec');
  const errors = [...validateSelector(spec.at('selector')), ...validateTargets(spec)];
  const action = spec.at('action').text ?? 'ALLOW';
  const provider = spec.at('provider');
  if (action === 'CUSTOM' && !provider.at('name').text)
    errors.push(required(provider.at('name').path, 'CUSTOM needs the name of a provider'));
  if (action !== 'CUSTOM' && provider.exists)
    errors.push(forbidden(provider.path, 'may only be set when `action` is CUSTOM'));
  const rules = spec.at('rules');
  if (action === 'CUSTOM' && rules.items().length === 0)
    errors.push(required(rules.path, 'CUSTOM needs at least one rule'));
  for (const rule of rules.items()) errors.push(...validateRule(rule));
  return errors;
}

function validateRule(rule: FieldView): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ['from', 'to']) {
    if (Array.isArray(rule.at(field).value) && rule.at(field).items().length === 0) {
      errors.push(required(rule.at(field).path, 'must not be an empty list: leave it out to match everything'));
    }
  }
  for (const from of rule.at('from').items())
    errors.push(...validateAttributes(from.at('source')), ...validateSource(from.at('source')));
  for (const to of rule.at('to').items())
    errors.push(...validateAttributes(to.at('operation')), ...validateOperation(to.at('operation')));
  for (const condition of rule.at('when').items()) errors.push(...validateCondition(condition));
  return errors;
}

/** Something must be said, no list may be empty, and no value may be "". */
function validateAttributes(attributes: FieldView): FieldError[] {
  if (!attributes.exists) return [required(attributes.path)];
  const fields = attributes.entries();
  if (fields.length === 0) return [required(attributes.path, 'must set at least one field')];
  return fields.flatMap(([name]) => validateValues(attributes.at(name)));
}

function validateValues(values: FieldView): FieldError[] {
  if (!Array.isArray(values.value)) return [];
  if (values.value.length === 0) return [required(values.path, 'must not be an empty list')];
  return values
    .items()
    .filter((item) => item.text === '')
    .map((item) => invalid(item.path, '', 'must not be empty'));
}

function validateSource(source: FieldView): FieldError[] {
  const errors = cidrFields.flatMap((field) => source.at(field).items().flatMap(validateCidr));
  const accounts = ['serviceAccounts', 'notServiceAccounts'].filter((field) => source.at(field).exists);
  for (const field of accounts) {
    for (const account of source.at(field).items()) errors.push(...validateServiceAccount(account));
    // Two ways to name the same caller in one source would contradict each other silently.
    for (const other of ['principals', 'notPrincipals', 'namespaces', 'notNamespaces']) {
      if (source.at(other).exists)
        errors.push(forbidden(source.at(field).path, `may not be set together with \`${other}\``));
    }
  }
  return errors;
}

function validateOperation(operation: FieldView): FieldError[] {
  const errors = ['ports', 'notPorts'].flatMap((field) => operation.at(field).items().flatMap(validatePort));
  for (const field of ['paths', 'notPaths']) {
    for (const path of operation.at(field).items()) errors.push(...validatePathTemplate(path));
  }
  return errors;
}

function validateCondition(condition: FieldView): FieldError[] {
  const key = condition.at('key');
  const values = condition.at('values');
  const notValues = condition.at('notValues');
  const errors: FieldError[] = [];
  if (key.text === '') errors.push(required(key.path));
  else if (key.text !== undefined && !isConditionKey(key.text)) {
    const known = conditionKeys.map(({ prefix, bracket }) => (bracket ? `${prefix}[name]` : prefix));
    errors.push(notSupported(key.path, key.value, known));
  }
  if (!values.exists && !notValues.exists)
    errors.push(required(condition.path, 'at least one of `values` and `notValues` must be set'));
  errors.push(...validateValues(values), ...validateValues(notValues));
  for (const item of [...values.items(), ...notValues.items()]) {
    if (key.text !== undefined && ipConditions.includes(key.text)) errors.push(...validateCidr(item));
    else if (key.text === 'destination.port') errors.push(...validatePort(item));
    else if (key.text === 'source.serviceAccount') errors.push(...validateServiceAccount(item));
  }
  return errors;
}

function isConditionKey(key: string): boolean {
  return conditionKeys.some(({ prefix, bracket }) => {
    if (!bracket) return key === prefix;
    const rest = key.startsWith(prefix) ? key.slice(prefix.length) : '';
    return prefix.endsWith('.') ? /^[\w.-]+(\[[^[\]]+\])*$/.test(rest) : /^(\[[^[\]]+\])+$/.test(rest);
  });
}

function validateCidr(item: FieldView): FieldError[] {
  if (item.text === undefined || item.text === '') return [];
  const [ip = '', suffix, ...more] = item.text.split('/');
  const bytes = tryParseIp(ip);
  const maxBits = ip.includes(':') ? 128 : 32;
  const whole =
    suffix === undefined || (more.length === 0 && /^(0|[1-9]\d{0,2})$/.test(suffix) && Number(suffix) <= maxBits);
  return bytes && whole
    ? []
    : [invalid(item.path, item.value, 'must be an IP address or a CIDR block, (e.g. 10.9.8.7 or 10.9.8.0/24)')];
}

function validatePort(item: FieldView): FieldError[] {
  if (item.text === undefined || item.text === '') return [];
  const valid = /^[1-9]\d{0,4}$/.test(item.text) && Number(item.text) <= 65_535;
  return valid ? [] : [invalid(item.path, item.value, 'must be between 1 and 65535, inclusive')];
}

/** `name`, or `namespace/name`. */
function validateServiceAccount(item: FieldView): FieldError[] {
  if (item.text === undefined || item.text === '') return [];
  const parts = item.text.split('/');
  const [first = '', second] = parts;
  const problems =
    parts.length > 2
      ? ['must be `name` or `namespace/name`']
      : [...dns1123Subdomain(second ?? first), ...(second === undefined ? [] : dns1123Label(first))];
  return problems.map((problem) => invalid(item.path, item.value, problem));
}

/** `{*}` and `{**}` are whole path segments, the second at most once. */
function validatePathTemplate(item: FieldView): FieldError[] {
  if (!item.text || !/[{}]/.test(item.text)) return [];
  const segments = item.text.split('/');
  const templates = segments.filter((segment) => /[{}]/.test(segment));
  if (templates.some((segment) => segment !== '{*}' && segment !== '{**}')) {
    return [invalid(item.path, item.value, 'only the segments {*} and {**} are supported in a path template')];
  }
  if (templates.filter((segment) => segment === '{**}').length > 1)
    return [invalid(item.path, item.value, '{**} may be used at most once')];
  return item.text.replaceAll(/\{\*\*?\}/g, '').includes('*')
    ? [invalid(item.path, item.value, 'may not mix * with {*} or {**}')]
    : [];
}

function validateTargets(spec: FieldView): FieldError[] {
  const given = ['selector', 'targetRef', 'targetRefs'].filter(
    (field) => spec.at(field).exists && !isEmptyList(spec.at(field)),
  );
  const errors = given
    .slice(1)
    .map((field) => forbidden(spec.at(field).path, `may not be set together with \`${given[0]}\``));
  const targets = [spec.at('targetRef'), ...spec.at('targetRefs').items()].filter((target) => target.exists);
  if (targets.length > 16)
    errors.push({
      path: spec.at('targetRefs').path,
      reason: 'FieldValueTooMany',
      message: `Too many: ${targets.length}: must have at most 16 items`,
    });
  for (const target of targets) errors.push(...validateTarget(target));
  return errors;
}

function validateTarget(target: FieldView): FieldError[] {
  const errors: FieldError[] = [];
  const group = target.at('group').text ?? '';
  const kind = target.at('kind');
  const known = [
    'Service',
    'gateway.networking.k8s.io/Gateway',
    'gateway.networking.k8s.io/GatewayClass',
    'networking.istio.io/ServiceEntry',
  ];
  const id = group === '' || group === 'core' ? `${kind.text}` : `${group}/${kind.text}`;
  if (kind.text === '') errors.push(required(kind.path));
  else if (kind.text !== undefined && !known.includes(id)) errors.push(notSupported(kind.path, id, known));
  if (target.at('name').text === '') errors.push(required(target.at('name').path));
  if (target.at('namespace').text)
    errors.push(forbidden(target.at('namespace').path, 'references to other namespaces are not supported'));
  return errors;
}

function isEmptyList(view: FieldView): boolean {
  return Array.isArray(view.value) && view.value.length === 0;
}

/** Wildcards in selectors read as literal text and so match nothing: Istio refuses them, too. */
function validateSelector(selector: FieldView): FieldError[] {
  const labels = selector.at('matchLabels');
  const errors: FieldError[] = [];
  for (const [key, value] of labels.entries()) {
    if (key === '') errors.push(invalid(labels.path, key, 'key may not be empty'));
    if (key.includes('*') || value.text?.includes('*'))
      errors.push(invalid(value.path, value.value, 'wildcard is not supported in selector'));
  }
  return errors.length > 0 ? errors : validateLabels(labels);
}

export function validatePeerAuthentication(policy: FieldView): FieldError[] {
  const spec = policy.at('spec');
  const selector = spec.at('selector');
  const ports = spec.at('portLevelMtls');
  const errors = validateSelector(selector);
  const selects = selector.at('matchLabels').entries().length > 0;
  if (ports.entries().length > 0 && !selects)
    errors.push(forbidden(ports.path, 'may only be set together with a `selector` that has labels'));
  if (ports.exists && ports.entries().length === 0 && selects)
    errors.push(required(ports.path, 'must not be empty when it is set'));
  for (const [port, setting] of ports.entries()) {
    const valid = /^[1-9]\d{0,4}$/.test(port) && Number(port) <= 65_535;
    if (!valid) errors.push(invalid(setting.path, port, 'must be between 1 and 65535, inclusive'));
  }
  return errors;
}
