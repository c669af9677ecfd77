/** Rules of Istio's policies that no schema can say, until the control plane's webhook is called for them. */
import type { KindInfo } from '../../../api/index.ts';
import { viewOf } from '../../../api/field-view.ts';
import { validateAuthorizationPolicy, validatePeerAuthentication } from '../../../api/validation/istio/index.ts';

const validators = {
  'AuthorizationPolicy.security.istio.io': validateAuthorizationPolicy,
  'PeerAuthentication.security.istio.io': validatePeerAuthentication,
};

export function withMeaning(kind: KindInfo): KindInfo {
  const meaning = validators[`${kind.kind}.${kind.group}` as keyof typeof validators];
  if (meaning === undefined) return kind;
  const plain = kind.validate.bind(kind);
  const validate: KindInfo['validate'] = (object, options) => {
    const errors = plain(object, options);
    return errors.length > 0 ? errors : [...meaning(viewOf(object)).errors];
  };
  return Object.assign(kind, { validate });
}
