/** events.k8s.io: the events of the core group in their newer shape. They are stored once, as core Events. */
import { eventColumns } from '../columns/kinds.ts';
import type { Event } from '../core.ts';
import type { JsonObject } from '../defaults/fill.ts';
import { define } from '../define.ts';
import type { Column, KindInfo } from '../kind-info.ts';
import { kinds } from '../kinds.ts';
import { eventsEventSchema } from '../schema/events.ts';
import { validateEventsEvent } from '../validation/events.ts';

/** Names here, names in the core group. */
const renamed: readonly (readonly [string, string])[] = [
  ['reportingController', 'reportingComponent'],
  ['regarding', 'involvedObject'],
  ['note', 'message'],
  ['deprecatedSource', 'source'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
];
const toCore = new Map(renamed);
const fromCore = new Map(renamed.map(([here, core]) => [core, here]));

export const eventsKinds: readonly KindInfo[] = [
  define(kinds.EventsEvent, {
    schema: eventsEventSchema,
    columns: eventColumns.map(onCoreForm),
    shortNames: ['ev'],
    hasStatus: false,
    sharedStorage: {
      kind: kinds.Event,
      toStored: toCoreEvent,
      fromStored: (event) => rename(event, fromCore, 'events.k8s.io/v1'),
    },
    validate: validateEventsEvent,
  }),
];

/** A core Event always says what it is about. */
function toCoreEvent(event: JsonObject): JsonObject {
  return { involvedObject: {}, ...rename(event, toCore, 'v1') };
}

function rename(event: JsonObject, names: ReadonlyMap<string, string>, apiVersion: string): JsonObject {
  const entries = Object.entries(event).map(([name, value]): [string, unknown] => [names.get(name) ?? name, value]);
  return { ...Object.fromEntries(entries), apiVersion };
}

function onCoreForm(column: Column<Event>): Column {
  return {
    ...column,
    cell: (event, nowMs) => column.cell(toCoreEvent(event as unknown as JsonObject) as unknown as Event, nowMs),
  };
}
