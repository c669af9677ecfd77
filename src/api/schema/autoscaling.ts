/** Schemas of HorizontalPodAutoscaler and PodDisruptionBudget. */
import { conditions, labelSelector, objectSchema } from './meta.ts';
import { integer, list, long, mapOf, portOrName, quantity, record, text, time, type JsonSchema } from './schema.ts';

const targetRef = record({ kind: text, name: text, apiVersion: text }, 'kind', 'name');
const metric = record({ name: text, selector: labelSelector }, 'name');
const target = record({ type: text, averageUtilization: integer, averageValue: quantity, value: quantity }, 'type');
const current = record({ averageUtilization: integer, averageValue: quantity, value: quantity });

const scalingRules = record({
  policies: list(record({ type: text, value: integer, periodSeconds: integer }, 'type', 'value', 'periodSeconds')),
  selectPolicy: text,
  stabilizationWindowSeconds: integer,
  tolerance: quantity,
});

export const autoscalerSchema: JsonSchema = objectSchema({
  spec: record(
    {
      scaleTargetRef: targetRef,
      minReplicas: integer,
      maxReplicas: integer,
      metrics: list(
        record(
          {
            type: text,
            resource: record({ name: text, target }, 'name', 'target'),
            containerResource: record({ name: text, container: text, target }, 'name', 'container', 'target'),
            pods: record({ metric, target }, 'metric', 'target'),
            object: record({ metric, target, describedObject: targetRef }, 'metric', 'target', 'describedObject'),
            external: record({ metric, target }, 'metric', 'target'),
          },
          'type',
        ),
      ),
      behavior: record({ scaleUp: scalingRules, scaleDown: scalingRules }),
    },
    'scaleTargetRef',
    'maxReplicas',
  ),
  status: record({
    observedGeneration: long,
    lastScaleTime: time,
    currentReplicas: integer,
    desiredReplicas: integer,
    currentMetrics: {
      ...list(
        record(
          {
            type: text,
            resource: record({ name: text, current }, 'name', 'current'),
            containerResource: record({ name: text, container: text, current }, 'name', 'container', 'current'),
            pods: record({ metric, current }, 'metric', 'current'),
            object: record({ metric, current, describedObject: targetRef }, 'metric', 'current', 'describedObject'),
            external: record({ metric, current }, 'metric', 'current'),
          },
          'type',
        ),
      ),
      nullable: true,
    },
    conditions,
  }),
});

export const budgetSchema: JsonSchema = objectSchema({
  spec: record({
    minAvailable: portOrName,
    maxUnavailable: portOrName,
    selector: labelSelector,
    unhealthyPodEvictionPolicy: text,
  }),
  status: record({
    observedGeneration: long,
    disruptedPods: mapOf(time),
    disruptionsAllowed: integer,
    currentHealthy: integer,
    desiredHealthy: integer,
    expectedPods: integer,
    conditions,
  }),
});
