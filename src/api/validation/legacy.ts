/** Validation of PersistentVolumeClaim and Endpoints. */
import { isIP } from 'node:net';
import { invalid, required, type FieldError } from '../field-error.ts';
import type { FieldView } from '../field-view.ts';
import { oneOfValues } from './meta.ts';

const accessModes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];

export function validateClaim(claim: FieldView): FieldError[] {
  const spec = claim.at('spec');
  const modes = spec.at('accessModes');
  const errors: FieldError[] = [];
  if (modes.items().length === 0) errors.push(required(modes.path, 'at least 1 access mode is required'));
  for (const mode of modes.items()) errors.push(...oneOfValues(mode, accessModes));
  errors.push(...oneOfValues(spec.at('volumeMode'), ['Block', 'Filesystem']));
  const storage = spec.at('resources').at('requests').at('storage');
  if (!storage.exists) errors.push(required(spec.at('resources').path + '[storage]'));
  return errors;
}

export function validateEndpoints(endpoints: FieldView): FieldError[] {
  const errors: FieldError[] = [];
  for (const subset of endpoints.at('subsets').items()) {
    const addresses = [...subset.at('addresses').items(), ...subset.at('notReadyAddresses').items()];
    if (addresses.length === 0) errors.push(required(subset.path, 'must specify `addresses` or `notReadyAddresses`'));
    for (const address of addresses) {
      const ip = address.at('ip');
      if (ip.text !== undefined && isIP(ip.text) === 0)
        errors.push(invalid(ip.path, ip.value, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'));
    }
    const ports = subset.at('ports').items();
    for (const port of ports) {
      const { number } = port.at('port');
      if (number !== undefined && (number < 1 || number > 65_535))
        errors.push(invalid(port.at('port').path, number, 'must be between 1 and 65535, inclusive'));
      if (ports.length > 1 && !port.at('name').text) errors.push(required(port.at('name').path));
    }
  }
  return errors;
}
