/** Rules of Istio's kinds that no schema can say, until the control plane's webhook is called for them. */
import { viewOf } from '../../../api/field-view.ts';
import type { KindInfo } from '../../../api/index.ts';
import { istioValidators } from '../../../api/validation/istio/index.ts';

/** The kind with these rules asked after its schema. Changes and returns `kind`. */
export function withMeaning(kind: KindInfo): KindInfo {
  const meaning = istioValidators.get(`${kind.group}/${kind.kind}`);
  if (!meaning) return kind;
  const plain = kind.validate.bind(kind);
  const validate: KindInfo['validate'] = (object, options) => {
    const errors = plain(object, options);
    return errors.length > 0 ? errors : [...meaning(viewOf(object)).errors];
  };
  return Object.assign(kind, { validate });
}
