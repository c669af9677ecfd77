/** ProxyExtension: a module that can be read, as far as that can be told without running it. */
import { stripTypeScriptTypes } from 'node:module';
import { messageOf } from '../../../lib/errors.ts';
import type { FieldView } from '../../field-view.ts';
import { checkObject } from '../istio/object.ts';
import { Findings, type Validation } from '../validation.ts';

export function validateProxyExtension(object: FieldView): Validation {
  const found = new Findings();
  checkObject(object, found);
  const source = object.at('spec').at('source').at('inline');
  if (source.text === undefined) return found;
  const problem = syntaxProblem(source.text);
  if (problem !== undefined) found.invalid(source, `must be a module in TypeScript or JavaScript: ${problem}`);
  // A module without a default export cannot be loaded; one that only looks like it is told by the proxy.
  else if (!/\bexport\s+default\b|\bas\s+default\b/.test(source.text)) {
    found.invalid(source, 'must have a default export, which makes the filter');
  }
  return found;
}

function syntaxProblem(text: string): string | undefined {
  try {
    stripTypeScriptTypes(text);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
