/**
 * Telemetry for L7 proxies, bound to its targets: all of the mesh (of the root namespace), all of a namespace, or what `targetRefs`
 * name (ambient-l7, 1.7). Those with a selector hold at gateways of the edge, whose pods they select.
 */
import type { Telemetry } from '../../api/istio.ts';
import type { TelemetryPolicy } from '../../api/l7/index.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { Collection, Graph, Reader } from '../../collection/index.ts';
import type { MeshScope } from '../mesh-scope.ts';
import { clusterOfKey } from '../object-key.ts';
import { targetKey } from './attachments.ts';
import type { PolicyTarget, TargetedPolicy } from './contracts.ts';
import { attachmentVerdict, resolveTarget, targetRefsOf, type ResolvedTarget } from './derive-policies-targets.ts';
import { edgeGateways, edgeTargets, targetScopes, type AttachmentVerdict } from './derive-policies.ts';
import type { L7Services } from './l7-services.ts';
import { convertTelemetry, defaultTelemetry } from './telemetry-convert.ts';

export interface TelemetryInputs {
  readonly scope: MeshScope;
  readonly services: L7Services;
  readonly meshConfigs: Collection<MeshConfig>;
  readonly rootNamespace: string;
  readonly clusterDomain: string;
}

export interface DerivedTelemetry {
  readonly policies: Collection<TargetedPolicy>;
  /** By the key of the object: of those with targets, and of those that are not held as they are written. */
  readonly verdicts: Collection<AttachmentVerdict>;
}

interface Placed {
  readonly policy: TelemetryPolicy;
  readonly notes: readonly string[];
  readonly resolved: readonly ResolvedTarget[];
  readonly telemetry: Telemetry;
}

export function deriveTelemetry(graph: Graph, inputs: TelemetryInputs): DerivedTelemetry {
  const { scope, meshConfigs, rootNamespace } = inputs;
  const targets = targetScopes(graph, inputs);
  const edges = edgeGateways(graph, scope);
  const placed = graph.map('telemetries at L7', scope.telemetries, (telemetry, key, read): Placed => {
    const cluster = clusterOfKey(key);
    const { namespace = '' } = telemetry.metadata;
    const refs = targetRefsOf(telemetry.spec);
    const isWide = refs.length === 0 && !telemetry.spec?.selector;
    const width = namespace === rootNamespace ? 'mesh' : 'namespace';
    const scopeOf = isWide ? width : 'target';
    const converted = convertTelemetry(telemetry, { scope: scopeOf, meshConfig: read.get(meshConfigs, cluster) });
    return {
      ...converted,
      resolved: refs.map((ref) => resolveTarget(ref, namespace, targets(cluster, read))),
      telemetry,
    };
  });
  const targetsOf = ({ telemetry, resolved }: Placed, cluster: string, read: Reader): readonly PolicyTarget[] => {
    const { namespace = '' } = telemetry.metadata;
    if (resolved.length > 0) return resolved.flatMap((one) => one.targets);
    const selector = telemetry.spec?.selector?.matchLabels;
    if (selector) return edgeTargets(read.all(edges), { cluster, namespace, selector, rootNamespace });
    return namespace === rootNamespace ? [{ kind: 'mesh' }] : [{ kind: 'namespace', namespace }];
  };
  const written = graph.flatMap('targeted telemetries', placed, (one, key, read) =>
    targetsOf(one, clusterOfKey(key), read).map((target) => {
      const createdAt = one.telemetry.metadata.creationTimestamp ?? '';
      return [`telemetry/${one.policy.name}|${targetKey(target)}`, { target, policy: one.policy, createdAt }] as const;
    }),
  );
  const defaults = graph.flatMap('telemetry of default providers', meshConfigs, (meshConfig, cluster) => {
    const policy = defaultTelemetry(meshConfig);
    if (!policy) return [];
    const target: PolicyTarget = { kind: 'mesh' };
    // Older than all: what others say counts instead.
    return [[`telemetry/${policy.name}|${cluster}`, { target, policy, createdAt: '' }] as const];
  });
  return {
    policies: graph.join<TargetedPolicy>('telemetries with targets', [written, defaults]),
    verdicts: graph.map('attachment of telemetries', placed, ({ resolved, notes, telemetry }) => {
      if (resolved.length === 0 && notes.length === 0) return undefined;
      return { verdict: attachmentVerdict(resolved, notes), generation: telemetry.metadata.generation };
    }),
  };
}
