/** Validation of NetworkPolicy, Ingress and PriorityClass. */
import { forbidden, invalid, required, type FieldError } from '../field-error.ts';
import type { FieldView } from '../field-view.ts';
import { immutable, oneOfValues, validateLabelSelector } from './meta.ts';

export function validateNetworkPolicy(policy: FieldView): FieldError[] {
  const spec = policy.at('spec');
  const errors = validateLabelSelector(spec.at('podSelector'));
  for (const type of spec.at('policyTypes').items()) errors.push(...oneOfValues(type, ['Egress', 'Ingress']));
  const sides = [
    spec
      .at('ingress')
      .items()
      .map((rule) => rule.at('from')),
    spec
      .at('egress')
      .items()
      .map((rule) => rule.at('to')),
  ];
  for (const peer of sides.flat().flatMap((peers) => peers.items())) {
    const [pods, namespaces, block] = [peer.at('podSelector'), peer.at('namespaceSelector'), peer.at('ipBlock')];
    if (!pods.exists && !namespaces.exists && !block.exists) errors.push(required(peer.path, 'must specify a peer'));
    if (block.exists && (pods.exists || namespaces.exists))
      errors.push(forbidden(peer.path, 'may not specify both ipBlock and another peer'));
    errors.push(...validateLabelSelector(pods), ...validateLabelSelector(namespaces));
  }
  return errors;
}

export function validateIngress(ingress: FieldView): FieldError[] {
  const spec = ingress.at('spec');
  const errors: FieldError[] = [];
  if (spec.at('rules').items().length === 0 && !spec.at('defaultBackend').exists)
    errors.push(invalid(spec.path, spec.value ?? {}, 'either `defaultBackend` or `rules` must be specified'));
  for (const rule of spec.at('rules').items()) {
    for (const path of rule.at('http').at('paths').items()) {
      const type = path.at('pathType');
      if (!type.exists) errors.push(required(type.path, 'pathType must be specified'));
      errors.push(...oneOfValues(type, ['Exact', 'ImplementationSpecific', 'Prefix']));
      if (type.text !== 'ImplementationSpecific' && !path.at('path').text?.startsWith('/'))
        errors.push(invalid(path.at('path').path, path.at('path').value ?? '', 'must be an absolute path'));
    }
  }
  return errors;
}

const highestUserPriority = 1_000_000_000;

export function validatePriorityClass(kind: FieldView, old: FieldView | undefined): FieldError[] {
  const value = kind.at('value');
  const errors = oneOfValues(kind.at('preemptionPolicy'), ['Never', 'PreemptLowerPriority']);
  if (old) errors.push(...immutable(value, old.at('value')));
  if ((value.number ?? 0) > highestUserPriority && !kind.at('metadata').at('name').text?.startsWith('system-')) {
    const detail = `maximum allowed value of a user defined priority is ${highestUserPriority}`;
    errors.push(forbidden(value.path, detail));
  }
  return errors;
}
