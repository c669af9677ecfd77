/** Backends of proxies: a port of a Service, as DestinationRules and BackendTLSPolicies shape it, with its TLS secrets. */
import type { Backend, TlsSecret } from '../../api/l7/index.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { Collection, Graph, Reader } from '../../collection/index.ts';
import { defaultBackend } from './backend-defaults.ts';
import type { BackendMembers } from './backend-members.ts';
import type { DerivedBackendTls } from './backend-tls-policy-derive.ts';
import type { BackendNeed, ProxyResourceOf } from './contracts.ts';
import { shapeBackend } from './destination-rule.ts';
import type { DestinationRules, MergedRule } from './destination-rules.ts';
import type { L7Service, L7Services } from './l7-services.ts';
import type { LocalitySetting } from './locality-policy.ts';
import type { ProxyGateway } from './proxy-gateways.ts';
import type { RuleCredentials } from './rule-credentials.ts';
import { effectivePolicy } from './traffic-policy.ts';
import { credentialOf } from './upstream-tls.ts';

/** A backend that something at a proxy refers to. */
export interface PlacedNeed {
  readonly gateway: string;
  readonly name: string;
  readonly need: BackendNeed;
}

export interface BackendInputs {
  readonly gateways: Collection<ProxyGateway>;
  readonly services: L7Services;
  readonly meshConfigs: Collection<MeshConfig>;
  readonly rules: DestinationRules;
  readonly members: BackendMembers;
  readonly backendTls: DerivedBackendTls['of'];
  readonly credentials: RuleCredentials;
}

/** Keyed `<gateway>|<kind>/<name>`: backends and secrets. */
export function deriveBackends(
  graph: Graph,
  needs: Collection<PlacedNeed>,
  inputs: BackendInputs,
): Collection<ProxyResourceOf> {
  const { gateways, services } = inputs;
  return graph.flatMap('backends of proxies', needs, ({ gateway, name, need }, _, read) => {
    const at = read.get(gateways, gateway);
    const service = read.get(services.all, need.service);
    if (!at || !service) return [];
    const meshConfig = read.get(inputs.meshConfigs, at.cluster);
    const plain = defaultBackend({ name, need, service, isEdge: at.role === 'gateway', meshConfig });
    // What is in tunnels is the business of those who end them.
    if (need.tunnels) return [[`${gateway}|backend/${name}`, { gateway, resource: plain }] as const];
    const rule = inputs.rules.of(service, at, read);
    const ruled = rule
      ? byRule(plain, rule, need, service, at)
      : { backend: plain, locality: undefined, labels: undefined };
    const locality = ruled.locality ?? (plain.locality.forced ? undefined : meshConfig?.localityLbSetting);
    const chosen = withMembers(ruled.backend, ruled.labels, locality?.failoverPriority ?? [], at, inputs.members, read);
    const { backend, secrets } = byTlsPolicy(chosen, service, at, inputs, read);
    return [atHttpsPort(backend), ...secrets].map(
      (resource) => [`${gateway}|${resource.kind}/${resource.name}`, { gateway, resource }] as const,
    );
  });
}

/** Nobody speaks TLS on the port of plain HTTP: of hosts that requests name it is the one of HTTPS then, as with Istio. */
function atHttpsPort(backend: Backend): Backend {
  const { requestedHosts: hosts, tls } = backend;
  return tls && hosts?.port === 80 ? { ...backend, requestedHosts: { ...hosts, port: 443 } } : backend;
}

interface Ruled {
  readonly backend: Backend;
  readonly locality: LocalitySetting | undefined;
  /** Of the subset. */
  readonly labels: Readonly<Record<string, string>> | undefined;
}

function byRule(plain: Backend, rule: MergedRule, need: BackendNeed, service: L7Service, at: ProxyGateway): Ruled {
  const subset = need.subset === undefined ? undefined : rule.subsets.get(need.subset);
  const policy = effectivePolicy(rule.trafficPolicy, subset?.trafficPolicy, need.port);
  const origin = subset?.origin ?? rule.origin;
  return {
    backend: shapeBackend(plain, policy, { service, namespace: at.namespace, origin }),
    locality: policy.loadBalancer?.localityLbSetting,
    labels: subset?.labels,
  };
}

function withMembers(
  backend: Backend,
  labels: Ruled['labels'],
  failoverPriority: readonly string[],
  { gateway }: ProxyGateway,
  members: BackendMembers,
  read: Reader,
): Backend {
  const chosen = members.of(backend.service, labels, read);
  const steps = members.steps(failoverPriority, { service: backend.service, gateway }, read);
  return {
    ...backend,
    ...(chosen ? { members: chosen } : {}),
    ...(steps.length > 0 ? { locality: { ...backend.locality, failoverPriority: steps } } : {}),
  };
}

/** Nothing is in it that anybody could be verified by, so that every handshake fails. */
const nothingToTrust = 'nothing-to-trust';

/** A BackendTLSPolicy has the last word on TLS. */
function byTlsPolicy(
  backend: Backend,
  service: L7Service,
  at: ProxyGateway,
  { backendTls, credentials }: BackendInputs,
  read: Reader,
): { readonly backend: Backend; readonly secrets: readonly TlsSecret[] } {
  const portName = service.ports.find(({ port }) => port === backend.port)?.name ?? '';
  const decision = backendTls(service.key, portName, read);
  if (!decision) {
    const { tls } = backend;
    if (!tls) return { backend, secrets: [] };
    const names = [...(tls.ca.kind === 'secret' ? [tls.ca.secret] : []), tls.clientCertificate ?? []].flat();
    return { backend, secrets: names.map((name) => credential(name, at, credentials, read)) };
  }
  const protocol = backend.protocol === 'tcp' ? 'http1' : backend.protocol;
  const { origin } = decision;
  if (decision.kind === 'refused') {
    const secret: TlsSecret = { kind: 'secret', name: nothingToTrust };
    const tls = { mode: 'simple', subjectAltNames: [], ca: { kind: 'secret', secret: nothingToTrust } } as const;
    return { backend: { ...backend, protocol, tls, origin }, secrets: [secret] };
  }
  return {
    backend: { ...backend, protocol, tls: decision.tls, origin },
    secrets: decision.secret ? [decision.secret] : [],
  };
}

/** Empty where there is none that can be read: handshakes that need it fail. */
function credential(name: string, at: ProxyGateway, credentials: RuleCredentials, read: Reader): TlsSecret {
  const { secret, part } = credentialOf(name);
  const { certificate, ca, revocations } = credentials.of(at.cluster, secret, read);
  if (part === 'ca') {
    return {
      kind: 'secret',
      name,
      ...(ca === undefined ? {} : { caCertificates: ca }),
      ...(revocations === undefined ? {} : { revocations }),
    };
  }
  if (!certificate) return { kind: 'secret', name };
  return { kind: 'secret', name, certificateChain: certificate.chain, privateKey: certificate.key };
}
