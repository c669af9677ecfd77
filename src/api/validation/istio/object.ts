/** What is true of every one of Istio's kinds. */
import type { FieldView } from '../../field-view.ts';
import type { Findings } from '../validation.ts';

/** Annotations that the control plane puts on objects it makes itself. On a user's object they would change its meaning. */
const internal = 'internal.istio.io/';

export function checkObject(object: FieldView, found: Findings): void {
  for (const [key, value] of object.at('metadata').at('annotations').entries()) {
    if (key.startsWith(internal))
      found.forbidden(value, `annotations of ${internal} are the control plane's own: remove it`);
  }
}
