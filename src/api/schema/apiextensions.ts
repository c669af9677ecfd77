/** Schema of apiextensions.k8s.io. */
import { objectSchema } from './meta.ts';
import { flag, integer, keyedList, list, long, open, record, text, time, type JsonSchema } from './schema.ts';

const names: JsonSchema = record(
  { plural: text, singular: text, shortNames: list(text), kind: text, listKind: text, categories: list(text) },
  'plural',
  'kind',
);

const column: JsonSchema = record(
  { name: text, type: text, format: text, description: text, priority: integer, jsonPath: text },
  'name',
  'type',
  'jsonPath',
);

const version: JsonSchema = record(
  {
    name: text,
    served: flag,
    storage: flag,
    deprecated: flag,
    deprecationWarning: text,
    // A schema of schemas has no end; `validation/structural-schema.ts` reads them.
    schema: record({ openAPIV3Schema: open }),
    subresources: record({
      status: open,
      scale: record(
        { specReplicasPath: text, statusReplicasPath: text, labelSelectorPath: text },
        'specReplicasPath',
        'statusReplicasPath',
      ),
    }),
    additionalPrinterColumns: list(column),
    selectableFields: list(record({ jsonPath: text }, 'jsonPath')),
  },
  'name',
  'served',
  'storage',
);

export const crdSchema: JsonSchema = objectSchema(
  {
    spec: record(
      {
        group: text,
        names,
        scope: text,
        versions: list(version),
        conversion: record({ strategy: text, webhook: open }, 'strategy'),
        preserveUnknownFields: flag,
      },
      'group',
      'names',
      'scope',
      'versions',
    ),
    status: record({
      conditions: keyedList(
        record(
          { type: text, status: text, lastTransitionTime: time, reason: text, message: text, observedGeneration: long },
          'type',
          'status',
        ),
        'type',
      ),
      acceptedNames: names,
      storedVersions: list(text),
      observedGeneration: long,
    }),
  },
  'spec',
);
