/** What a policy is attached to: a selector, or targetRef(s), never both. */
import type { FieldView } from '../../field-view.ts';
import type { Findings } from '../validation.ts';
import { checkSelectedLabels } from './values.ts';

const maxTargets = 16;

/** Kinds that policies can be attached to. */
export const policyTargets: readonly string[] = [
  'Service',
  'gateway.networking.k8s.io/Gateway',
  'gateway.networking.k8s.io/GatewayClass',
  'networking.istio.io/ServiceEntry',
];

/** `selector` is the name of the field that a target stands in the place of. */
export function checkAttachment(
  spec: FieldView,
  found: Findings,
  selector: 'selector' | 'workloadSelector' = 'selector',
): void {
  checkSelectedLabels(spec.at(selector).at(selector === 'selector' ? 'matchLabels' : 'labels'), found);
  const given = [selector, 'targetRef', 'targetRefs'].filter(
    (field) => spec.at(field).exists && !isEmptyList(spec.at(field)),
  );
  for (const field of given.slice(1)) found.forbidden(spec.at(field), `may not be set together with \`${given[0]}\``);
  const targets = [spec.at('targetRef'), ...spec.at('targetRefs').items()].filter((target) => target.exists);
  if (targets.length > maxTargets) {
    const message = `Too many: ${targets.length}: must have at most ${maxTargets} items`;
    found.add([{ path: spec.at('targetRefs').path, reason: 'FieldValueTooMany', message }]);
  }
  for (const target of targets) checkTarget(target, found);
}

function checkTarget(target: FieldView, found: Findings): void {
  const group = target.at('group').text ?? '';
  const kind = target.at('kind');
  const id = group === '' || group === 'core' ? `${kind.text}` : `${group}/${kind.text}`;
  if (kind.text === '') found.required(kind);
  else if (kind.text !== undefined && !policyTargets.includes(id))
    found.notSupported({ ...kind, value: id }, policyTargets);
  if (target.at('name').text === '') found.required(target.at('name'));
  if (target.at('namespace').text)
    found.forbidden(target.at('namespace'), 'references to other namespaces are not supported');
}

function isEmptyList(view: FieldView): boolean {
  return Array.isArray(view.value) && view.value.length === 0;
}
