/** ProxyConfig: settings that a proxy can take. */
import type { FieldView } from '../../field-view.ts';
import { environmentName } from '../names.ts';
import { Findings, type Validation } from '../validation.ts';
import { checkObject } from './object.ts';
import { checkNonNegative, checkSelectedLabels } from './values.ts';

export function validateProxyConfig(config: FieldView): Validation {
  const found = new Findings();
  const spec = config.at('spec');
  checkObject(config, found);
  checkSelectedLabels(spec.at('selector').at('matchLabels'), found);
  checkNonNegative(spec.at('concurrency'), found);
  for (const [name] of spec.at('environmentVariables').entries()) {
    found.invalidAll(
      { ...spec.at('environmentVariables'), value: name },
      name === '' ? ['a name must not be empty'] : environmentName(name),
    );
  }
  return found;
}
