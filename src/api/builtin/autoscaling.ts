/** Kinds of the group autoscaling. */
import { autoscalerColumns } from '../columns/policies.ts';
import { ensureObject, fill, objectAt, type JsonObject } from '../defaults/fill.ts';
import { define } from '../define.ts';
import type { KindInfo } from '../kind-info.ts';
import { kinds } from '../kinds.ts';
import { autoscalerSchema } from '../schema/autoscaling.ts';
import { validateAutoscaler } from '../validation/autoscaling.ts';

export const autoscalingKinds: readonly KindInfo[] = [
  define(kinds.HorizontalPodAutoscaler, {
    schema: autoscalerSchema,
    columns: autoscalerColumns,
    shortNames: ['hpa'],
    categories: ['all'],
    defaults: defaultAutoscaler,
    onCreate: (autoscaler) => {
      autoscaler['status'] = { currentMetrics: null, desiredReplicas: 0 };
    },
    validate: validateAutoscaler,
  }),
];

function defaultAutoscaler(autoscaler: JsonObject): void {
  const spec = objectAt(autoscaler, 'spec');
  if (!spec) return;
  fill(spec, { minReplicas: 1 });
  if (!Array.isArray(spec['metrics']) || spec['metrics'].length === 0) {
    const target = { type: 'Utilization', averageUtilization: 80 };
    spec['metrics'] = [{ type: 'Resource', resource: { name: 'cpu', target } }];
  }
  const behavior = objectAt(spec, 'behavior');
  if (!behavior) return;
  const up = ensureObject(behavior, 'scaleUp');
  if (up) {
    fill(up, {
      stabilizationWindowSeconds: 0,
      selectPolicy: 'Max',
      policies: [
        { type: 'Pods', value: 4, periodSeconds: 15 },
        { type: 'Percent', value: 100, periodSeconds: 15 },
      ],
    });
  }
  const down = ensureObject(behavior, 'scaleDown');
  if (down) fill(down, { selectPolicy: 'Max', policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }] });
}
