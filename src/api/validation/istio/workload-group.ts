/** WorkloadGroup: a template, and a probe that can be made. */
import type { FieldView } from '../../field-view.ts';
import { validateLabels } from '../meta.ts';
import { qualifiedName } from '../names.ts';
import { Findings, type Validation } from '../validation.ts';
import { checkEndpoint } from './endpoint.ts';
import { checkObject } from './object.ts';
import { checkHeaderName, checkNonNegative, checkPort } from './values.ts';

const methods = ['httpGet', 'tcpSocket', 'exec', 'grpc'];
const numbers = ['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'successThreshold', 'failureThreshold'];

export function validateWorkloadGroup(group: FieldView): Validation {
  const found = new Findings();
  const spec = group.at('spec');
  checkObject(group, found);
  const metadata = spec.at('metadata');
  found.add(validateLabels(metadata.at('labels')));
  for (const [key] of metadata.at('annotations').entries()) {
    found.invalidAll({ ...metadata.at('annotations'), value: key }, qualifiedName(key.toLowerCase()));
  }
  const template = spec.at('template');
  if (!template.exists) found.required(template);
  else checkEndpoint(template, 'template', found);
  checkProbe(spec.at('probe'), found);
  return found;
}

function checkProbe(probe: FieldView, found: Findings): void {
  if (!probe.exists) return;
  const given = methods.filter((method) => probe.at(method).exists);
  if (given.length === 0) found.required(probe, `set one of ${methods.join(', ')}`);
  for (const method of given.slice(1))
    found.forbidden(probe.at(method), `may not be set together with \`${given[0]}\``);
  for (const field of numbers) checkNonNegative(probe.at(field), found);
  for (const method of ['httpGet', 'tcpSocket']) {
    const port = probe.at(method).at('port');
    if (probe.at(method).exists && !port.exists) found.required(port);
    checkPort(port, found);
  }
  checkPort(probe.at('grpc').at('port'), found);
  const http = probe.at('httpGet');
  const scheme = http.at('scheme');
  if (scheme.text && scheme.text !== 'HTTP' && scheme.text !== 'HTTPS') found.notSupported(scheme, ['HTTP', 'HTTPS']);
  for (const header of http.at('httpHeaders').items())
    checkHeaderName(header.at('name'), header.at('name').text ?? '', found);
  const command = probe.at('exec').at('command');
  if (probe.at('exec').exists && command.items().length === 0) found.required(command);
}
