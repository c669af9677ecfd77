/** PeerAuthentication: exceptions for ports need a workload that they are for. */
import type { FieldView } from '../../field-view.ts';
import { Findings, type Validation } from '../validation.ts';
import { checkObject } from './object.ts';
import { checkSelectedLabels } from './values.ts';

export function validatePeerAuthentication(policy: FieldView): Validation {
  const found = new Findings();
  const spec = policy.at('spec');
  const labels = spec.at('selector').at('matchLabels');
  const ports = spec.at('portLevelMtls');
  checkObject(policy, found);
  checkSelectedLabels(labels, found);
  const selects = labels.entries().length > 0;
  if (ports.entries().length > 0 && !selects) {
    found.forbidden(ports, 'may only be set together with a `selector` that has labels');
  }
  if (ports.exists && ports.entries().length === 0 && selects)
    found.required(ports, 'must not be empty when it is set');
  for (const [port, setting] of ports.entries()) {
    const valid = /^[1-9]\d{0,4}$/.test(port) && Number(port) <= 65_535;
    if (!valid) found.invalid({ ...setting, value: port }, 'must be between 1 and 65535, inclusive');
  }
  return found;
}
