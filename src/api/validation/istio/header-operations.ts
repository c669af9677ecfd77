/** Changes of headers. */
import type { FieldView } from '../../field-view.ts';
import type { Findings } from '../validation.ts';
import { checkHeaderName, checkHeaderValue } from './values.ts';

/** `host` and `:authority` may be set, which rewrites the host. */
export function checkHeaderOperations(headers: FieldView, found: Findings): void {
  for (const side of ['request', 'response'] as const) {
    const operations = headers.at(side);
    for (const field of ['set', 'add'] as const) {
      for (const [name, value] of operations.at(field).entries()) {
        if (!(side === 'request' && isAuthority(name))) checkOwnHeader(value, name, found);
        checkHeaderValue(value, found);
      }
    }
    for (const name of operations.at('remove').items()) checkOwnHeader(name, name.text ?? '', found);
  }
}

/** Every place at which the host of the request is given. */
export function authoritiesOf(headers: FieldView): FieldView[] {
  const request = headers.at('request');
  return ['set', 'add'].flatMap((field) =>
    request
      .at(field)
      .entries()
      .filter(([name]) => isAuthority(name))
      .map(([, value]) => value),
  );
}

function isAuthority(name: string): boolean {
  return name.toLowerCase() === 'host' || name === ':authority';
}

function checkOwnHeader(view: FieldView, name: string, found: Findings): void {
  if (name.startsWith(':') || name.toLowerCase() === 'host') {
    found.invalid({ ...view, value: name }, 'cannot be changed: pseudo headers and host belong to the protocol');
  } else checkHeaderName(view, name, found);
}
