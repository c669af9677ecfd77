/** The kinds that get a status from this control plane, and what discovery makes of their objects. */
import { kinds } from '../api/kinds.ts';
import type { KindRef, KubeObject } from '../api/meta.ts';
import type { ClusterId } from '../api/names.ts';
import type { Collection } from '../collection/index.ts';
import { objectKey, type Discovery } from '../discovery/index.ts';
import type { Verdict } from './conditions.ts';
import { followGatewayApi, gatewayApiStatusKinds, type DeployedGateway } from './gateway-api-status.ts';
import { followRules, ruleStatusKinds } from './rule-status.ts';
import { followUnserved, unservedStatusKinds } from './unserved-status.ts';
import type { StatusKind, StatusObject, StatusWriter } from './status-writer.ts';

const acceptedType = 'ZtunnelAccepted';
/** How a policy with targets is attached to L7 proxies. */
const attachedType = 'WaypointAccepted';
/** Of policies of our own, as the Gateway API calls it. */
const acceptedPolicyType = 'Accepted';
const waypointType = 'istio.io/WaypointBound';
const waypointMissingType = 'istio.io/WaypointMissing';

/** `deployed`: what is known of the proxies of a Gateway, by `namespace/name`. */
export function statusKinds(
  discovery: Discovery,
  cluster: ClusterId,
  deployed?: (name: string) => DeployedGateway | undefined,
): StatusKind[] {
  const keyOf = (name: string): string => {
    const [namespace = '', objectName = ''] = name.split('/');
    return objectKey(cluster, namespace, objectName);
  };
  const { statuses } = discovery;
  return [
    {
      kind: kinds.AuthorizationPolicy,
      fieldManager: 'istio-ambient-ztunnel-policy',
      distributedAs: 'policy',
      conditionTypes: [acceptedType, attachedType],
      current: (name) => discovery.authorizationPolicies.get(keyOf(name)),
      judged(name) {
        const judged = discovery.verdicts.get(keyOf(name));
        if (judged) return { generation: judged.generation, conditions: { [acceptedType]: judged.verdict } };
        const attached = statuses.authorizationAttachments.get(keyOf(name));
        return attached && { generation: attached.generation, conditions: { [attachedType]: attached.verdict } };
      },
    },
    {
      kind: kinds.RequestAuthentication,
      fieldManager: 'istio-waypoint-policy',
      distributedAs: 'addresses',
      conditionTypes: [attachedType],
      current: (name) => discovery.requestAuthentications.get(keyOf(name)),
      judged(name) {
        const attached = statuses.authenticationAttachments.get(keyOf(name));
        return attached && { generation: attached.generation, conditions: { [attachedType]: attached.verdict } };
      },
    },
    {
      kind: kinds.Telemetry,
      fieldManager: 'istio-waypoint-policy',
      distributedAs: 'addresses',
      conditionTypes: [attachedType],
      current: (name) => discovery.telemetries.get(keyOf(name)),
      judged(name) {
        const attached = statuses.telemetryAttachments.get(keyOf(name));
        return attached && { generation: attached.generation, conditions: { [attachedType]: attached.verdict } };
      },
    },
    {
      kind: kinds.PeerAuthentication,
      fieldManager: 'istio-ambient-ztunnel-policy',
      distributedAs: 'policy',
      conditionTypes: [],
      current: (name) => discovery.peerAuthentications.get(keyOf(name)),
      judged(name) {
        const policy = discovery.peerAuthentications.get(keyOf(name));
        return policy && { generation: policy.metadata.generation, conditions: {} };
      },
    },
    {
      kind: kinds.RateLimit,
      fieldManager: 'ambit-rate-limit',
      distributedAs: 'addresses',
      conditionTypes: [acceptedPolicyType],
      current: (name) => discovery.rateLimits.get(keyOf(name)),
      judged(name) {
        const attached = statuses.rateLimitAttachments.get(keyOf(name));
        return attached && { generation: attached.generation, conditions: { [acceptedPolicyType]: attached.verdict } };
      },
    },
    {
      kind: kinds.ProxyExtension,
      fieldManager: 'ambit-proxy-extension',
      distributedAs: 'addresses',
      conditionTypes: [acceptedPolicyType],
      current: (name) => discovery.proxyExtensions.get(keyOf(name)),
      judged(name) {
        const attached = statuses.extensionAttachments.get(keyOf(name));
        return attached && { generation: attached.generation, conditions: { [acceptedPolicyType]: attached.verdict } };
      },
    },
    {
      kind: kinds.Service,
      fieldManager: 'istio-ambient-service',
      // There are too many of them, and they belong to others.
      distributedAs: 'untold',
      conditionTypes: [waypointType],
      current: (name) => discovery.services.get(keyOf(name)),
      judged(name) {
        const service = discovery.services.get(keyOf(name));
        const conditions = only({ [waypointType]: statuses.serviceBindings.get(keyOf(name))?.verdict });
        return service && { generation: service.metadata.generation, conditions };
      },
    },
    {
      kind: kinds.ServiceEntry,
      fieldManager: 'istio-ambient-service',
      distributedAs: 'addresses',
      conditionTypes: [acceptedType, waypointType, waypointMissingType],
      current: (name) => discovery.serviceEntries.get(keyOf(name)),
      judged(name) {
        const key = keyOf(name);
        const entry = discovery.serviceEntries.get(key);
        const verdict = statuses.entries.get(key);
        if (!entry || !verdict) return undefined;
        const binding = statuses.entryBindings.get(key);
        const wanted = statuses.allocations.get(key)?.wanted;
        return {
          generation: entry.metadata.generation,
          conditions: only({
            [acceptedType]: verdict,
            [waypointType]: binding?.verdict,
            [waypointMissingType]:
              entry.spec.resolution === 'DYNAMIC_DNS' && !binding?.waypoint ? waypointMissing : undefined,
          }),
          ...(wanted ? { fields: { addresses: wanted.length > 0 ? wanted : null } } : {}),
        };
      },
    },
    {
      kind: kinds.WorkloadEntry,
      fieldManager: 'istio-ambient-workloadentry',
      distributedAs: 'addresses',
      conditionTypes: [acceptedType, waypointType],
      current: (name) => discovery.workloadEntries.get(keyOf(name)),
      judged(name) {
        const key = keyOf(name);
        const entry = discovery.workloadEntries.get(key);
        const binding = statuses.workloadEntryBindings.get(key);
        const conditions = only({
          [acceptedType]: statuses.workloadEntries.get(key),
          [waypointType]: binding?.verdict,
        });
        return entry && { generation: entry.metadata.generation, conditions };
      },
    },
    ...gatewayApiStatusKinds(discovery, keyOf, deployed),
    ...ruleStatusKinds(discovery, keyOf),
    ...unservedStatusKinds(discovery, keyOf),
  ];
}

const waypointMissing: Verdict = {
  status: 'True',
  reason: 'NoWaypointForWildcardService',
  message:
    'the hosts are resolved request by request, which a waypoint alone can do: without the label istio.io/use-waypoint clients go where their own resolver says',
};

/** Tells the writer of every change that its kinds see. */
export function followStatus(discovery: Discovery, statuses: StatusWriter): void {
  const follow = (kind: KindRef, ...collections: readonly Collection<unknown>[]): void => {
    for (const collection of collections) {
      collection.subscribe((changes: ReadonlyMap<string, unknown>) => {
        for (const key of changes.keys()) statuses.changed(kind, nameOfKey(key));
      });
    }
  };
  const { serviceBindings, entryBindings, workloadEntryBindings, entries, workloadEntries, allocations } =
    discovery.statuses;
  const {
    authorizationAttachments,
    authenticationAttachments,
    rateLimitAttachments,
    telemetryAttachments,
    extensionAttachments,
  } = discovery.statuses;
  follow(kinds.AuthorizationPolicy, discovery.authorizationPolicies, discovery.verdicts, authorizationAttachments);
  follow(kinds.RequestAuthentication, discovery.requestAuthentications, authenticationAttachments);
  follow(kinds.RateLimit, discovery.rateLimits, rateLimitAttachments);
  follow(kinds.ProxyExtension, discovery.proxyExtensions, extensionAttachments);
  follow(kinds.Telemetry, discovery.telemetries, telemetryAttachments);
  follow(kinds.PeerAuthentication, discovery.peerAuthentications);
  follow(kinds.ServiceEntry, discovery.serviceEntries, entries, entryBindings, allocations);
  follow(kinds.WorkloadEntry, discovery.workloadEntries, workloadEntries, workloadEntryBindings);
  follow(kinds.Service, serviceBindings);
  followGatewayApi(discovery, follow);
  followRules(discovery, follow);
  followUnserved(discovery, follow);
  // Most Services have nothing to do with waypoints.
  discovery.services.subscribe((changes) => {
    for (const [key, { before, after }] of changes) {
      if (serviceBindings.get(key) || hasCondition(before) || hasCondition(after)) {
        statuses.changed(kinds.Service, nameOfKey(key));
      }
    }
  });
}

function hasCondition(service: (KubeObject & StatusObject) | undefined): boolean {
  return service?.status?.conditions?.some(({ type }) => type === waypointType) ?? false;
}

/** `namespace/name` */
function nameOfKey(key: string): string {
  return key.slice(key.indexOf('/') + 1);
}

function only(verdicts: Readonly<Record<string, Verdict | undefined>>): Record<string, Verdict> {
  return Object.fromEntries(
    Object.entries(verdicts).flatMap(([type, verdict]) => (verdict ? [[type, verdict] as const] : [])),
  );
}
