/** Schema of PersistentVolumeClaim. */
import { conditions, labelSelector, objectSchema } from './meta.ts';
import { atomic, list, mapOf, quantity, record, text, textMap, type JsonSchema } from './schema.ts';

export const claimSpec: JsonSchema = record({
  accessModes: list(text),
  dataSource: atomic(record({ apiGroup: text, kind: text, name: text }, 'kind', 'name')),
  dataSourceRef: record({ apiGroup: text, kind: text, name: text, namespace: text }, 'kind', 'name'),
  resources: record({ limits: mapOf(quantity), requests: mapOf(quantity) }),
  selector: labelSelector,
  storageClassName: text,
  volumeAttributesClassName: text,
  volumeMode: text,
  volumeName: text,
});

export const claimStatus: JsonSchema = record({
  accessModes: list(text),
  allocatedResourceStatuses: textMap,
  allocatedResources: mapOf(quantity),
  capacity: mapOf(quantity),
  conditions,
  currentVolumeAttributesClassName: text,
  modifyVolumeStatus: record({ status: text, targetVolumeAttributesClassName: text }, 'status'),
  phase: text,
});

export const claimSchema: JsonSchema = objectSchema({ spec: claimSpec, status: claimStatus });
