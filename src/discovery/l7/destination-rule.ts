/** DestinationRule: what its blocks make of a backend, and what is wrong with it (ambient-l7, 2.2). Pure. */
import type { DestinationRule } from '../../api/istio.ts';
import type { Backend, Origin } from '../../api/l7/index.ts';
import {
  connectionPoolOf,
  faultOutliers,
  notePool,
  outlierDetectionOf,
  retryBudgetOf,
  upgradedProtocol,
} from './connection-limits.ts';
import type { L7Service } from './l7-services.ts';
import { loadBalancerOf } from './load-balancer.ts';
import { localityPolicy, type TrafficPolicy } from './locality-policy.ts';
import { RuleProblems } from './rule-problems.ts';
import type { EffectivePolicy } from './traffic-policy.ts';
import { faultTls, upstreamTlsOf } from './upstream-tls.ts';

export interface ShapeContext {
  readonly service: L7Service;
  /** Of the proxy. */
  readonly namespace: string;
  readonly origin: Origin;
}

/** The backend as `policy` shapes it. */
export function shapeBackend(backend: Backend, policy: EffectivePolicy, context: ShapeContext): Backend {
  const { service, origin } = context;
  const { loadBalancer, connectionPool, outlierDetection, tls, proxyProtocol, retryBudget } = policy;
  const locality = loadBalancer?.localityLbSetting;
  const upstreamTls =
    tls && upstreamTlsOf(tls, { namespace: context.namespace, subjectAltNames: service.subjectAltNames });
  // TLS of our own wraps requests: they are seen, although the port is one of TLS.
  const spoken = upstreamTls && backend.protocol === 'tcp' ? 'http1' : backend.protocol;
  return {
    ...backend,
    protocol: upgradedProtocol(spoken, connectionPool),
    ...(loadBalancer ? { loadBalancer: loadBalancerOf(loadBalancer, '', new RuleProblems()) } : {}),
    ...(locality ? { locality: localityPolicy(locality) } : {}),
    ...(connectionPool
      ? { connectionPool: connectionPoolOf(connectionPool, backend.connectionPool, backend.protocol === 'tcp') }
      : {}),
    ...(outlierDetection ? { outlierDetection: outlierDetectionOf(outlierDetection) } : {}),
    ...(retryBudget ? { retryBudget: retryBudgetOf(retryBudget) } : {}),
    ...(upstreamTls ? { tls: upstreamTls } : {}),
    ...(proxyProtocol ? { proxyProtocol: proxyProtocol.version === 'V2' ? 'v2' : 'v1' } : {}),
    origin,
  };
}

/** Looks at every block, whichever port or subset it is for. */
export function judgeDestinationRule({ spec }: DestinationRule, problems: RuleProblems): void {
  if (spec?.trafficPolicy) judgePolicy(spec.trafficPolicy, 'spec.trafficPolicy', problems);
  for (const [index, subset] of (spec?.subsets ?? []).entries()) {
    if (subset.trafficPolicy) judgePolicy(subset.trafficPolicy, `spec.subsets[${index}].trafficPolicy`, problems);
  }
}

function judgePolicy(policy: TrafficPolicy, path: string, problems: RuleProblems): void {
  judgeBlocks(policy, path, problems);
  for (const [index, settings] of (policy.portLevelSettings ?? []).entries()) {
    judgeBlocks(settings, `${path}.portLevelSettings[${index}]`, problems);
  }
  if (policy.tunnel) problems.fault(`${path}.tunnel`, 'UnsupportedValue', 'tunnels through a host are not made');
}

function judgeBlocks(
  blocks: Pick<TrafficPolicy, 'loadBalancer' | 'connectionPool' | 'outlierDetection' | 'tls'>,
  path: string,
  problems: RuleProblems,
): void {
  const { loadBalancer, connectionPool, outlierDetection, tls } = blocks;
  if (loadBalancer) loadBalancerOf(loadBalancer, `${path}.loadBalancer`, problems);
  if (connectionPool) notePool(connectionPool, `${path}.connectionPool`, problems);
  if (outlierDetection) faultOutliers(outlierDetection, `${path}.outlierDetection`, problems);
  if (tls) faultTls(tls, `${path}.tls`, problems);
}
