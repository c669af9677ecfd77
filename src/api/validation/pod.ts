/** Validation of pods and pod templates (`k8s.io/kubernetes/pkg/apis/core/validation`): what the mesh's runtime relies on. */
import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { duplicate, forbidden, invalid, notSupported, required, type FieldError } from '../field-error.ts';
import { isRecord, type FieldView } from '../field-view.ts';
import { validateVolume } from './volume.ts';
import { parseQuantity, quantityRule } from './quantity.ts';
import { checkRequiredText, checkText, nonNegative, validateLabels } from './meta.ts';
import { configMapKey, dns1123Label, dns1123Subdomain, environmentName, portName, portNumber } from './names.ts';

const downwardEnvFields =
  /^(metadata\.(name|namespace|uid|labels|annotations)|metadata\.(labels|annotations)\['[^']+'\]|spec\.(nodeName|serviceAccountName)|status\.(hostIP|hostIPs|podIP|podIPs))$/;

export function validatePodSpec(spec: FieldView): FieldError[] {
  const errors: FieldError[] = [];
  const containers = spec.at('containers');
  if (spec.exists && containers.items().length === 0) errors.push(required(containers.path));
  const volumes = new Set<string>();
  for (const volume of spec.at('volumes').items()) errors.push(...validateVolume(volume, volumes));
  const names = new Set<string>();
  const ports = new Set<string>();
  for (const container of spec.at('initContainers').items()) {
    errors.push(...validateContainer(container, names, volumes, new Set()));
    const policy = container.at('restartPolicy');
    if (policy.text !== undefined && policy.text !== 'Always')
      errors.push(notSupported(policy.path, policy.value, ['Always']));
    if (policy.text !== 'Always') errors.push(...validatePlainInit(container));
  }
  for (const container of containers.items()) {
    errors.push(...validateContainer(container, names, volumes, ports));
    const policy = container.at('restartPolicy');
    if (policy.exists) errors.push(forbidden(policy.path, 'may not be set for non-init containers'));
  }
  if (spec.at('hostNetwork').boolean === true) errors.push(...validateHostPorts(containers));
  errors.push(...nonNegative(spec.at('terminationGracePeriodSeconds')));
  errors.push(...validateLabels(spec.at('nodeSelector')));
  errors.push(...checkText(spec.at('serviceAccountName'), dns1123Subdomain));
  errors.push(...checkText(spec.at('hostname'), dns1123Label), ...checkText(spec.at('subdomain'), dns1123Label));
  if (spec.at('nodeName').text) errors.push(...checkText(spec.at('nodeName'), dns1123Subdomain));
  for (const alias of spec.at('hostAliases').items()) {
    const ip = alias.at('ip');
    if (ip.text !== undefined && isIP(ip.text) === 0)
      errors.push(invalid(ip.path, ip.value, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'));
    for (const name of alias.at('hostnames').items()) errors.push(...checkText(name, dns1123Subdomain));
  }
  if (spec.at('dnsPolicy').text === 'None' && spec.at('dnsConfig').at('nameservers').items().length === 0) {
    errors.push(
      required(
        spec.at('dnsConfig').at('nameservers').path,
        'must provide at least one DNS nameserver when `dnsPolicy` is None',
      ),
    );
  }
  for (const toleration of spec.at('tolerations').items()) {
    const operator = toleration.at('operator');
    if (operator.text && !['Equal', 'Exists'].includes(operator.text))
      errors.push(notSupported(operator.path, operator.value, ['Equal', 'Exists']));
  }
  return errors;
}

/** On update nearly everything stays as it was; `nodeName` is set by binding. */
export function validatePodUpdate(now: FieldView, before: FieldView): FieldError[] {
  const frozen = (view: FieldView): unknown => {
    if (!isRecord(view.value)) return view.value;
    const copy: Record<string, unknown> = { ...view.value };
    for (const field of ['activeDeadlineSeconds', 'tolerations', 'terminationGracePeriodSeconds']) delete copy[field];
    for (const list of ['containers', 'initContainers']) {
      if (Array.isArray(copy[list]))
        copy[list] = copy[list].map((item: unknown) => (isRecord(item) ? { ...item, image: '' } : item));
    }
    return copy;
  };
  if (isDeepStrictEqual(frozen(now), frozen(before))) return [];
  const detail =
    'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';
  return [forbidden(now.path, detail)];
}

function validateContainer(
  container: FieldView,
  names: Set<string>,
  volumes: Set<string>,
  ports: Set<string>,
): FieldError[] {
  const errors = checkRequiredText(container.at('name'), dns1123Label);
  const name = container.at('name').text;
  if (name !== undefined) {
    if (names.has(name)) errors.push(duplicate(container.at('name').path, name));
    names.add(name);
  }
  const image = container.at('image');
  if (!image.text) errors.push(required(image.path));
  else if (image.text !== image.text.trim())
    errors.push(invalid(image.path, image.value, 'must not have leading or trailing whitespace'));
  errors.push(...validatePorts(container, ports), ...validateResources(container.at('resources')));
  for (const variable of container.at('env').items()) errors.push(...validateVariable(variable));
  for (const source of container.at('envFrom').items()) {
    const refs = ['configMapRef', 'secretRef'].map((field) => source.at(field)).filter((ref) => ref.exists);
    if (refs.length === 0) errors.push(invalid(source.path, '', 'must specify one of: `configMapRef` or `secretRef`'));
    else if (refs.length > 1)
      errors.push(invalid(source.path, '', 'may not have more than one field specified at a time'));
    for (const ref of refs) errors.push(...checkRequiredText(ref.at('name'), dns1123Subdomain));
  }
  const mountPaths = new Set<string>();
  for (const mount of container.at('volumeMounts').items()) {
    const volume = mount.at('name');
    const path = mount.at('mountPath');
    if (!volume.text) errors.push(required(volume.path));
    else if (!volumes.has(volume.text))
      errors.push({
        path: volume.path,
        reason: 'FieldValueNotFound',
        message: `Not found: ${JSON.stringify(volume.text)}`,
      });
    if (!path.text) errors.push(required(path.path));
    else if (mountPaths.has(path.text)) errors.push(invalid(path.path, path.value, 'must be unique'));
    else mountPaths.add(path.text);
    const subPath = mount.at('subPath');
    if (subPath.text?.startsWith('/')) errors.push(invalid(subPath.path, subPath.value, 'must be a relative path'));
    if (subPath.text?.split('/').includes('..'))
      errors.push(invalid(subPath.path, subPath.value, "must not contain '..'"));
  }
  for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe'])
    errors.push(...validateProbe(container.at(probe), probe));
  for (const hook of ['postStart', 'preStop']) {
    const handler = container.at('lifecycle').at(hook);
    if (handler.exists) errors.push(...validateHandler(handler, ['exec', 'httpGet', 'tcpSocket', 'sleep']));
  }
  return errors;
}

function validatePorts(container: FieldView, hostPorts: Set<string>): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const port of container.at('ports').items()) {
    const name = port.at('name');
    if (name.text) {
      errors.push(...checkText(name, portName));
      if (names.has(name.text)) errors.push(duplicate(name.path, name.text));
      names.add(name.text);
    }
    const number = port.at('containerPort');
    if (!number.exists || number.number === 0) errors.push(required(number.path));
    else errors.push(...checkNumber(number));
    const hostPort = port.at('hostPort');
    if (hostPort.number === undefined || hostPort.number === 0) continue;
    errors.push(...checkNumber(hostPort));
    const key = `${port.at('protocol').text ?? 'TCP'}/${port.at('hostIP').text ?? ''}/${hostPort.number}`;
    if (hostPorts.has(key)) errors.push(duplicate(hostPort.path, key));
    hostPorts.add(key);
  }
  return errors;
}

/** Init containers that end are neither probed nor hooked. */
function validatePlainInit(container: FieldView): FieldError[] {
  return ['livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle']
    .filter((field) => container.at(field).exists)
    .map((field) =>
      forbidden(container.at(field).path, 'may not be set for init containers without restartPolicy=Always'),
    );
}

/** In the node's network a port is the same inside and outside. */
function validateHostPorts(containers: FieldView): FieldError[] {
  return containers
    .items()
    .flatMap((container) => container.at('ports').items())
    .filter((port) => port.at('hostPort').number !== port.at('containerPort').number)
    .map((port) =>
      invalid(
        port.at('containerPort').path,
        port.at('containerPort').value,
        'must match `hostPort` when `hostNetwork` is true',
      ),
    );
}

function validateResources(resources: FieldView): FieldError[] {
  const errors: FieldError[] = [];
  for (const list of ['limits', 'requests']) {
    for (const [, amount] of resources.at(list).entries()) {
      if (parseQuantity(amount.value) === undefined) errors.push(invalid(amount.path, amount.value, quantityRule));
      else if ((parseQuantity(amount.value) ?? 0) < 0)
        errors.push(invalid(amount.path, amount.value, 'must be greater than or equal to 0'));
    }
  }
  for (const [name, request] of resources.at('requests').entries()) {
    const limit = resources.at('limits').at(name);
    const most = parseQuantity(limit.value);
    const wanted = parseQuantity(request.value);
    if (most !== undefined && wanted !== undefined && wanted > most) {
      errors.push(
        invalid(request.path, request.value, `must be less than or equal to ${name} limit of ${String(limit.value)}`),
      );
    }
  }
  return errors;
}

function validateVariable(variable: FieldView): FieldError[] {
  const errors = checkRequiredText(variable.at('name'), environmentName);
  const from = variable.at('valueFrom');
  if (!from.exists) return errors;
  const sources = ['fieldRef', 'resourceFieldRef', 'configMapKeyRef', 'secretKeyRef', 'fileKeyRef']
    .map((field) => from.at(field))
    .filter((ref) => ref.exists);
  if (sources.length === 0)
    errors.push(
      invalid(
        from.path,
        '',
        'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`',
      ),
    );
  if (variable.at('value').text) errors.push(invalid(from.path, '', 'may not be specified when `value` is not empty'));
  if (sources.length > 1) errors.push(invalid(from.path, '', 'may not have more than one field specified at a time'));
  const fieldPath = from.at('fieldRef').at('fieldPath');
  if (fieldPath.text !== undefined && !downwardEnvFields.test(fieldPath.text)) {
    const supported = [
      'metadata.name',
      'metadata.namespace',
      'metadata.uid',
      'spec.nodeName',
      'spec.serviceAccountName',
      'status.hostIP',
      'status.hostIPs',
      'status.podIP',
      'status.podIPs',
    ];
    errors.push(notSupported(fieldPath.path, fieldPath.value, supported));
  }
  for (const field of ['configMapKeyRef', 'secretKeyRef']) {
    const ref = from.at(field);
    if (!ref.exists) continue;
    errors.push(
      ...checkRequiredText(ref.at('name'), dns1123Subdomain),
      ...checkRequiredText(ref.at('key'), configMapKey),
    );
  }
  return errors;
}

function validateProbe(probe: FieldView, name: string): FieldError[] {
  if (!probe.exists) return [];
  const errors = validateHandler(probe, ['exec', 'httpGet', 'tcpSocket', 'grpc']);
  for (const field of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ])
    errors.push(...nonNegative(probe.at(field)));
  const success = probe.at('successThreshold');
  if (name !== 'readinessProbe' && success.number !== undefined && success.number !== 1)
    errors.push(invalid(success.path, success.value, 'must be 1'));
  return errors;
}

function validateHandler(handler: FieldView, kinds: readonly string[]): FieldError[] {
  const given = kinds.filter((kind) => handler.at(kind).exists);
  if (given.length === 0) return [required(handler.path, 'must specify a handler type')];
  const errors = given
    .slice(1)
    .map((kind) => forbidden(handler.at(kind).path, 'may not specify more than 1 handler type'));
  const command = handler.at('exec').at('command');
  if (handler.at('exec').exists && command.items().length === 0) errors.push(required(command.path));
  for (const kind of ['httpGet', 'tcpSocket']) {
    if (handler.at(kind).exists) errors.push(...checkNumberOrName(handler.at(kind).at('port')));
  }
  if (handler.at('grpc').exists) errors.push(...checkNumber(handler.at('grpc').at('port')));
  return errors;
}

export function checkNumber(view: FieldView): FieldError[] {
  return view.number === undefined
    ? []
    : portNumber(view.number).map((problem) => invalid(view.path, view.value, problem));
}

export function checkNumberOrName(view: FieldView): FieldError[] {
  return view.text === undefined ? checkNumber(view) : checkText(view, portName);
}
