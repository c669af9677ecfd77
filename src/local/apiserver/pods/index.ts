/** Admission of pods: what Kubernetes' own plugins add to them, and refuse. */
import type { KubeObject, ServiceAccount } from '../../../api/index.ts';
import type { ApiObject } from '../object-fields.ts';
import { generateName } from '../object-rules.ts';
import { forbidden } from '../status-error.ts';
import type { Transaction } from '../store.ts';
import { admitPriority, keepPriority, type PriorityClassView } from './priority.ts';
import { admitServiceAccount } from './service-account.ts';
import { tolerateLostNodes } from './tolerations.ts';

const priorityClasses = 'priorityclasses.scheduling.k8s.io';

/** Of a pod that is being made: its account, token, priority and tolerations. Changes `pod`; throws 403. */
export function admitNewPod(tx: Transaction, pod: ApiObject): void {
  const { namespace = '', name = '', generateName: prefix } = pod.metadata;
  const isGenerated = prefix !== undefined && name.startsWith(prefix) && name.length === prefix.length + 5;
  const refuse = (why: string): never => {
    throw forbidden({ group: '', plural: 'pods' }, isGenerated ? prefix : name, why);
  };
  admitServiceAccount({
    pod,
    findAccount: (account) => tx.get('serviceaccounts', namespace, account)?.object as ServiceAccount | undefined,
    generateName: (volume) => generateName(volume, () => false),
    refuse,
  });
  admitPriority({
    pod,
    findClass: (wanted) => viewOf(tx.get(priorityClasses, '', wanted)?.object),
    classes: () => tx.list(priorityClasses).flatMap(({ object }) => viewOf(object) ?? []),
    refuse,
  });
  tolerateLostNodes((pod.spec ??= {}));
}

/** Of a pod that there is already. Changes `pod`. */
export function admitPodUpdate(pod: ApiObject, before: ApiObject): void {
  const spec = (pod.spec ??= {});
  keepPriority(spec, before.spec ?? {});
  tolerateLostNodes(spec);
}

function viewOf(object: KubeObject | undefined): PriorityClassView | undefined {
  if (!object) return undefined;
  const { value, preemptionPolicy, globalDefault } = object as KubeObject & Partial<PriorityClassView>;
  return {
    name: object.metadata.name ?? '',
    value: value ?? 0,
    ...(preemptionPolicy !== undefined && { preemptionPolicy }),
    ...(globalDefault !== undefined && { globalDefault }),
  };
}
