/** Validation of a pod's volumes. */
import { duplicate, forbidden, invalid, required, type FieldError } from '../field-error.ts';
import { isRecord, type FieldView } from '../field-view.ts';
import { checkRequiredText } from './meta.ts';
import { dns1123Label } from './names.ts';

/** `names` collects the volumes of the pod. */
export function validateVolume(volume: FieldView, names: Set<string>): FieldError[] {
  const name = volume.at('name');
  const errors = checkRequiredText(name, dns1123Label);
  if (name.text) {
    if (names.has(name.text)) errors.push(duplicate(name.path, name.text));
    names.add(name.text);
  }
  const sources = isRecord(volume.value) ? Object.keys(volume.value).filter((field) => field !== 'name') : [];
  if (sources.length === 0) errors.push(required(volume.path, 'must specify a volume type'));
  for (const source of sources.slice(1))
    errors.push(forbidden(volume.at(source).path, 'may not specify more than 1 volume type'));
  const configMap = volume.at('configMap');
  if (configMap.exists && !configMap.at('name').text) errors.push(required(configMap.at('name').path));
  const secret = volume.at('secret');
  if (secret.exists && !secret.at('secretName').text) errors.push(required(secret.at('secretName').path));
  const hostPath = volume.at('hostPath');
  if (hostPath.exists) {
    const path = hostPath.at('path');
    if (!path.text) errors.push(required(path.path));
    else if (path.text.split('/').includes('..')) errors.push(invalid(path.path, path.value, "must not contain '..'"));
  }
  const projected = volume.at('projected').at('sources').items();
  for (const item of [
    ...configMap.at('items').items(),
    ...secret.at('items').items(),
    ...volume.at('downwardAPI').at('items').items(),
  ]) {
    errors.push(...validateFilePath(item));
  }
  for (const source of projected) {
    const token = source.at('serviceAccountToken');
    if (token.exists) {
      errors.push(...validateFilePath(token));
      const seconds = token.at('expirationSeconds');
      if (seconds.number !== undefined && seconds.number < 600)
        errors.push(invalid(seconds.path, seconds.value, 'may not specify a duration less than 10 minutes'));
      if (seconds.number !== undefined && seconds.number > 2 ** 32)
        errors.push(invalid(seconds.path, seconds.value, 'may not specify a duration larger than 2^32 seconds'));
    }
    for (const kind of ['configMap', 'secret', 'downwardAPI']) {
      for (const item of source.at(kind).at('items').items()) errors.push(...validateFilePath(item));
    }
    for (const kind of ['configMap', 'secret']) {
      if (source.at(kind).exists && !source.at(kind).at('name').text)
        errors.push(required(source.at(kind).at('name').path));
    }
  }
  return errors;
}

function validateFilePath(item: FieldView): FieldError[] {
  const path = item.at('path');
  if (!path.text) return [required(path.path)];
  if (path.text.startsWith('/')) return [invalid(path.path, path.value, 'must be a relative path')];
  if (path.text.split('/').includes('..')) return [invalid(path.path, path.value, "must not contain '..'")];
  return path.text.startsWith('..') ? [invalid(path.path, path.value, "must not start with '..'")] : [];
}
