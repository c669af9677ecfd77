/** Validation of HorizontalPodAutoscaler and PodDisruptionBudget. */
import { invalid, required, type FieldError } from '../field-error.ts';
import type { FieldView } from '../field-view.ts';
import { validateShare } from './apps.ts';
import { nonNegative, oneOfValues, validateLabelSelector } from './meta.ts';

const metricTypes = ['ContainerResource', 'External', 'Object', 'Pods', 'Resource'];

export function validateAutoscaler(autoscaler: FieldView): FieldError[] {
  const spec = autoscaler.at('spec');
  const [min, max] = [spec.at('minReplicas'), spec.at('maxReplicas')];
  const errors: FieldError[] = [];
  if (min.number !== undefined && min.number < 1)
    errors.push(invalid(min.path, min.value, 'must be greater than or equal to 1'));
  if (max.number !== undefined && max.number < 1) errors.push(invalid(max.path, max.value, 'must be greater than 0'));
  if ((max.number ?? 1) < (min.number ?? 1))
    errors.push(invalid(max.path, max.value, 'must be greater than or equal to `minReplicas`'));
  for (const field of ['kind', 'name'])
    if (spec.at('scaleTargetRef').at(field).text === '')
      errors.push(required(spec.at('scaleTargetRef').at(field).path));
  for (const metric of spec.at('metrics').items()) errors.push(...validateMetric(metric));
  for (const side of ['scaleUp', 'scaleDown']) {
    const rules = spec.at('behavior').at(side);
    errors.push(...oneOfValues(rules.at('selectPolicy'), ['Disabled', 'Max', 'Min']));
    const window = rules.at('stabilizationWindowSeconds');
    errors.push(...nonNegative(window));
    if ((window.number ?? 0) > 3600)
      errors.push(invalid(window.path, window.value, 'must be less than or equal to 3600'));
    if (rules.at('policies').exists && rules.at('policies').items().length === 0)
      errors.push(required(rules.at('policies').path, 'must specify at least one Policy'));
    for (const policy of rules.at('policies').items()) {
      errors.push(...oneOfValues(policy.at('type'), ['Percent', 'Pods']));
      for (const field of ['value', 'periodSeconds']) {
        const view = policy.at(field);
        if (view.number !== undefined && view.number <= 0)
          errors.push(invalid(view.path, view.value, 'must be greater than zero'));
      }
    }
  }
  return errors;
}

function validateMetric(metric: FieldView): FieldError[] {
  const { text: type = '' } = metric.at('type');
  const errors = oneOfValues(metric.at('type'), metricTypes);
  if (!metricTypes.includes(type)) return errors;
  const source = metric.at(type.slice(0, 1).toLowerCase() + type.slice(1));
  if (!source.exists) return [required(source.path, `must populate information for the given metric source`)];
  const target = source.at('target');
  errors.push(...oneOfValues(target.at('type'), ['AverageValue', 'Utilization', 'Value']));
  if (type !== 'Resource' && type !== 'ContainerResource') return errors;
  const [share, value] = [target.at('averageUtilization'), target.at('averageValue')];
  if (share.number !== undefined && share.number < 1)
    errors.push(invalid(share.path, share.value, 'must be greater than 0'));
  if (!share.exists && !value.exists)
    errors.push(required(share.path, 'must set either a target raw value or a target utilization'));
  if (share.exists && value.exists)
    errors.push({
      path: value.path,
      reason: 'FieldValueForbidden',
      message: 'Forbidden: may not set both a target raw value and a target utilization',
    });
  return errors;
}

export function validateBudget(budget: FieldView): FieldError[] {
  const spec = budget.at('spec');
  const [min, max] = [spec.at('minAvailable'), spec.at('maxUnavailable')];
  const errors = [...validateShare(min, 100), ...validateShare(max, 100)];
  if (min.exists && max.exists)
    errors.push(invalid(spec.path, spec.value, 'minAvailable and maxUnavailable cannot be both set'));
  errors.push(...validateLabelSelector(spec.at('selector')));
  errors.push(...oneOfValues(spec.at('unhealthyPodEvictionPolicy'), ['AlwaysAllow', 'IfHealthyBudget']));
  return errors;
}
