/** The kinds that get a status from this control plane, and what discovery makes of their objects. */
import { kinds } from '../api/kinds.ts';
import type { ClusterId } from '../api/names.ts';
import { objectKey, type Discovery } from '../discovery/index.ts';
import type { StatusKind, StatusWriter } from './status-writer.ts';

const acceptedType = 'ZtunnelAccepted';

export function statusKinds(discovery: Discovery, cluster: ClusterId): StatusKind[] {
  const keyOf = (name: string): string => {
    const [namespace = '', objectName = ''] = name.split('/');
    return objectKey(cluster, namespace, objectName);
  };
  return [
    {
      kind: kinds.AuthorizationPolicy,
      conditionTypes: [acceptedType],
      current: (name) => discovery.authorizationPolicies.get(keyOf(name)),
      judged(name) {
        const judged = discovery.verdicts.get(keyOf(name));
        return judged && { generation: judged.generation, conditions: { [acceptedType]: judged.verdict } };
      },
    },
    {
      kind: kinds.PeerAuthentication,
      conditionTypes: [],
      current: (name) => discovery.peerAuthentications.get(keyOf(name)),
      judged(name) {
        const policy = discovery.peerAuthentications.get(keyOf(name));
        return policy && { generation: policy.metadata.generation, conditions: {} };
      },
    },
  ];
}

/** Tells the writer of every change that its kinds see. */
export function followStatus(discovery: Discovery, statuses: StatusWriter): void {
  const nameOf = (key: string): string => key.slice(key.indexOf('/') + 1);
  for (const collection of [discovery.authorizationPolicies, discovery.verdicts]) {
    collection.subscribe((changes: ReadonlyMap<string, unknown>) => {
      for (const key of changes.keys()) statuses.changed(kinds.AuthorizationPolicy, nameOf(key));
    });
  }
  discovery.peerAuthentications.subscribe((changes) => {
    for (const key of changes.keys()) statuses.changed(kinds.PeerAuthentication, nameOf(key));
  });
}
