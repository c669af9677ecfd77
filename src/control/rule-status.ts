/** Statuses of VirtualServices and DestinationRules: whether waypoints can do what they say, and which do. */
import { kinds } from '../api/kinds.ts';
import type { KindRef } from '../api/meta.ts';
import type { Collection } from '../collection/index.ts';
import type { Discovery, RuleVerdict } from '../discovery/index.ts';
import type { Judged, StatusKind } from './status-writer.ts';

const acceptedType = 'WaypointAccepted';

const common = {
  fieldManager: 'istio-waypoint-rules',
  // Proxies tell how far they are by themselves (`ambit proxy-status`).
  distributedAs: 'untold',
  conditionTypes: [acceptedType],
} as const;

export function ruleStatusKinds(
  { virtualServices, destinationRules, statuses }: Discovery,
  keyOf: (name: string) => string,
): StatusKind[] {
  const { rules } = statuses;
  return [
    {
      kind: kinds.VirtualService,
      ...common,
      current: (name) => virtualServices.get(keyOf(name)),
      judged: (name) => judgedRule(rules.virtualServices.get(keyOf(name))),
    },
    {
      kind: kinds.DestinationRule,
      ...common,
      current: (name) => destinationRules.get(keyOf(name)),
      judged: (name) => judgedRule(rules.destinationRules.get(keyOf(name))),
    },
  ];
}

function judgedRule(found: RuleVerdict | undefined): Judged | undefined {
  return found && { generation: found.generation, conditions: { [acceptedType]: found.accepted } };
}

export function followRules(
  { virtualServices, destinationRules, statuses }: Discovery,
  follow: (kind: KindRef, ...collections: readonly Collection<unknown>[]) => void,
): void {
  follow(kinds.VirtualService, virtualServices, statuses.rules.virtualServices);
  follow(kinds.DestinationRule, destinationRules, statuses.rules.destinationRules);
}
