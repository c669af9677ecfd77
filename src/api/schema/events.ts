/** Schema of the Event of events.k8s.io. */
import { objectReference, objectSchema } from './meta.ts';
import { integer, record, text, time, type JsonSchema } from './schema.ts';

export const eventsEventSchema: JsonSchema = objectSchema({
  eventTime: time,
  series: record({ count: integer, lastObservedTime: time }, 'count', 'lastObservedTime'),
  reportingController: text,
  reportingInstance: text,
  action: text,
  reason: text,
  regarding: objectReference,
  related: objectReference,
  note: text,
  type: text,
  deprecatedSource: record({ component: text, host: text }),
  deprecatedFirstTimestamp: time,
  deprecatedLastTimestamp: time,
  deprecatedCount: integer,
});
