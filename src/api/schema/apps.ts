/** Schemas of StatefulSet, DaemonSet and ControllerRevision. */
import { claimSpec, claimStatus } from './claim.ts';
import { conditions, labelSelector, objectMeta, objectSchema } from './meta.ts';
import { podTemplate } from './pod.ts';
import { integer, list, long, open, portOrName, record, text, type JsonSchema } from './schema.ts';

export const statefulSetSchema: JsonSchema = objectSchema(
  {
    spec: record(
      {
        replicas: integer,
        selector: labelSelector,
        template: podTemplate,
        serviceName: text,
        podManagementPolicy: text,
        updateStrategy: record({
          type: text,
          rollingUpdate: record({ partition: integer, maxUnavailable: portOrName }),
        }),
        minReadySeconds: integer,
        revisionHistoryLimit: integer,
        ordinals: record({ start: integer }),
        volumeClaimTemplates: list(
          record({ apiVersion: text, kind: text, metadata: objectMeta, spec: claimSpec, status: claimStatus }),
        ),
        persistentVolumeClaimRetentionPolicy: record({ whenDeleted: text, whenScaled: text }),
      },
      'selector',
      'template',
    ),
    status: record({
      observedGeneration: long,
      replicas: integer,
      readyReplicas: integer,
      availableReplicas: integer,
      currentReplicas: integer,
      updatedReplicas: integer,
      currentRevision: text,
      updateRevision: text,
      collisionCount: integer,
      conditions,
    }),
  },
  'spec',
);

export const daemonSetSchema: JsonSchema = objectSchema(
  {
    spec: record(
      {
        selector: labelSelector,
        template: podTemplate,
        updateStrategy: record({
          type: text,
          rollingUpdate: record({ maxSurge: portOrName, maxUnavailable: portOrName }),
        }),
        minReadySeconds: integer,
        revisionHistoryLimit: integer,
      },
      'selector',
      'template',
    ),
    status: record({
      observedGeneration: long,
      currentNumberScheduled: integer,
      numberMisscheduled: integer,
      desiredNumberScheduled: integer,
      numberReady: integer,
      updatedNumberScheduled: integer,
      numberAvailable: integer,
      numberUnavailable: integer,
      collisionCount: integer,
      conditions,
    }),
  },
  'spec',
);

export const controllerRevisionSchema: JsonSchema = objectSchema({ data: open, revision: long }, 'revision');
