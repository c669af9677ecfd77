/** Which policies bind what, in the order of evaluation (ambient-l7, 1.7). */
import type { PolicyAttachment, ProxyPolicy } from '../../api/l7/index.ts';
import type { Index, Reader } from '../../collection/index.ts';
import type { PolicyTarget, TargetedPolicy } from './contracts.ts';

/** By `targetKey`. */
export type PoliciesByTarget = Index<TargetedPolicy>;

export function targetKey(target: PolicyTarget): string {
  switch (target.kind) {
    case 'gateway':
      return `gateway ${target.gateway}`;
    case 'gateway-class':
      return `class ${target.name}`;
    case 'service':
      return `service ${target.service}`;
    case 'namespace':
      return `namespace ${target.namespace}`;
    case 'mesh':
      return 'mesh';
  }
}

export interface Attached {
  readonly attachment: PolicyAttachment;
  readonly policies: readonly ProxyPolicy[];
}

const lists: Readonly<Record<ProxyPolicy['kind'], keyof PolicyAttachment>> = {
  authorization: 'authorization',
  authentication: 'authentication',
  'rate-limit': 'rateLimits',
  telemetry: 'telemetry',
  extension: 'extensions',
};

/** `targets` from the wide to the narrow; within one, older policies come first. A policy that two targets name counts once. */
export function attach(targets: readonly PolicyTarget[], index: PoliciesByTarget, read: Reader): Attached {
  const found = new Map<string, ProxyPolicy>();
  for (const target of targets) {
    const bound = [...read.lookup(index, targetKey(target)).values()].toSorted(byAge);
    for (const { policy } of bound) {
      const key = `${policy.kind}/${policy.name}`;
      if (!found.has(key)) found.set(key, policy);
    }
  }
  const attachment: Record<keyof PolicyAttachment, string[]> = {
    authorization: [],
    authentication: [],
    rateLimits: [],
    telemetry: [],
    extensions: [],
  };
  for (const policy of found.values()) attachment[lists[policy.kind]].push(policy.name);
  return { attachment, policies: [...found.values()] };
}

function byAge(a: TargetedPolicy, b: TargetedPolicy): number {
  return compare(a.createdAt, b.createdAt) || compare(a.policy.name, b.policy.name);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
