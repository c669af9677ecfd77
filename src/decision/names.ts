/** Pure: what a name means to a workload of the mesh, or that its own resolver has to say (ambient-l4, section 8). */
import type { MeshService, MeshWorkload } from '../api/workload.ts';
import { serviceKey } from '../api/names.ts';
import type { MeshState } from '../mesh/index.ts';
import { ipv4, ipv6, serviceFamilies } from './addresses.ts';

/** The search rules of a resolv.conf. */
export interface SearchRules {
  /** Domains without dots at their ends, lower case, in order. */
  readonly search: readonly string[];
  /** A name with as many dots or more is asked for as it is. */
  readonly ndots: number;
}

export interface NameRequest {
  readonly mesh: MeshState;
  /** Who asks: decides what is visible, and which addresses are of use. */
  readonly client: MeshWorkload;
  /** Lower case, without the last dot. */
  readonly name: string;
  readonly family: 'ipv4' | 'ipv6';
  readonly clusterDomain: string;
  /** Of the client's resolv.conf; absent: what Kubernetes gives to pods. */
  readonly rules?: SearchRules | undefined;
  /** Of Services of several namespaces that claim one name, neither the client's nor canonical, this one's is taken. */
  readonly preferredNamespace?: string | undefined;
}

export type NamePlan =
  /** The mesh does not know it. */
  | { readonly kind: 'forward' }
  | {
      readonly kind: 'addresses';
      /** May be empty: the name is known, and has no address of that family. */
      readonly addresses: readonly string[];
      readonly service: MeshService;
      /** The name asked for is an alias of this one: a search domain was cut off. */
      readonly alias?: string;
    };

const forward: NamePlan = { kind: 'forward' };

/** What Kubernetes writes into the resolv.conf of a pod of `namespace`. */
export function defaultSearchRules(namespace: string, clusterDomain: string): SearchRules {
  return { search: [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain], ndots: 5 };
}

/** Answers for names of Services, and of pods of headless Services; all others are to be forwarded. */
export function planName(request: NameRequest): NamePlan {
  if (request.name === '' || request.name.includes('\\')) return forward;
  for (const { name, isAlias, byPattern } of candidatesOf(request)) {
    const found = lookUp(name, byPattern, request);
    if (found === 'elsewhere') return forward;
    if (!found) continue;
    const { service, addresses } = found;
    // A Service that is known by a pattern has no name of its own.
    const alias = isAlias && !found.isWildcard ? { alias: name } : {};
    return { kind: 'addresses', addresses, service, ...alias };
  }
  return forward;
}

interface Candidate {
  readonly name: string;
  readonly isAlias: boolean;
  /** Services with names such as `*.example.com` count. What we made up ourselves is no name that those mean. */
  readonly byPattern: boolean;
}

/**
 * The names that the one asked for may stand for, best first. Clients ask for `web.shop.svc.cluster.local.front.svc.cluster.local`
 * before they ask for what they mean; answering that at once saves them the others. But never instead of a name that may exist.
 */
function* candidatesOf(request: NameRequest): Iterable<Candidate> {
  const { name, clusterDomain, client } = request;
  const { search, ndots } = request.rules ?? defaultSearchRules(client.namespace, clusterDomain);
  yield { name, isAlias: false, byPattern: true };
  if (dotsOf(name) < ndots) {
    for (const domain of search) yield { name: `${name}.${domain}`, isAlias: false, byPattern: false };
  }
  if (mayExistInCluster(name, request)) return;
  for (const domain of search) {
    // In domains of others we cannot tell what exists.
    if (!isInCluster(domain, clusterDomain) || !name.endsWith(`.${domain}`)) continue;
    const base = name.slice(0, -domain.length - 1);
    if (dotsOf(base) >= ndots) continue;
    yield { name: base, isAlias: true, byPattern: true };
    if (dotsOf(base) === 0) continue;
    for (const other of search) {
      if (other === domain || !isInCluster(other, clusterDomain)) continue;
      yield { name: `${base}.${other}`, isAlias: true, byPattern: false };
    }
  }
}

function isInCluster(domain: string, clusterDomain: string): boolean {
  return domain === clusterDomain || domain.endsWith(`.${clusterDomain}`);
}

/** Whether the cluster's own name server may know a name that the mesh does not: then nothing is guessed. */
function mayExistInCluster(name: string, { mesh, client, clusterDomain }: NameRequest): boolean {
  if (!name.endsWith(`.${clusterDomain}`)) return true;
  const labels = name.slice(0, -clusterDomain.length - 1).split('.');
  const kind = labels.pop();
  if (kind === 'pod') return true;
  if (kind !== 'svc' || labels.length <= 2) return kind === 'svc';
  // `pod.service.namespace`, `_port._protocol.service.namespace`
  if (labels[0]?.startsWith('_')) return true;
  if (labels.length > 3) return false;
  return mesh.serviceByHostname(labels.slice(1).join('.') + `.svc.${clusterDomain}`, client.namespace) !== undefined;
}

interface Found {
  readonly service: MeshService;
  readonly addresses: readonly string[];
  readonly isWildcard: boolean;
}

/** `elsewhere`: the name is of a Service that we know, and only the resolver can answer. */
function lookUp(name: string, byPattern: boolean, request: NameRequest): Found | 'elsewhere' | undefined {
  const { mesh, client, preferredNamespace } = request;
  const serviceOf = (hostname: string): MeshService | undefined =>
    mesh.serviceByHostname(hostname, client.namespace, preferredNamespace);
  const exact = serviceOf(name);
  if (exact) return foundService(exact, request, false);
  const pod = lookUpPod(name, request);
  if (pod || !byPattern) return pod;
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    const service = serviceOf(`*${name.slice(dot)}`);
    if (service) return foundService(service, request, true);
  }
  return undefined;
}

function foundService(service: MeshService, request: NameRequest, isWildcard: boolean): Found | 'elsewhere' {
  const { client, family, clusterDomain } = request;
  if (service.addresses.length > 0) {
    const usable = service.addresses.filter((a) => a.network === client.network && a.prefixLength === undefined);
    // Hosts outside the cluster have other addresses than those that the mesh gave them.
    if (usable.length === 0 && !isOfCluster(service, clusterDomain)) return 'elsewhere';
    return {
      service,
      addresses: ofFamily(
        usable.map(({ ip }) => ip),
        family,
      ),
      isWildcard,
    };
  }
  if (!isOfCluster(service, clusterDomain)) return 'elsewhere';
  return { service, addresses: offeredAddresses(endpointAddresses(service, request), service, family), isWildcard };
}

/** `pod-0.service.namespace.svc.domain`, for pods of StatefulSets: of others the mesh does not know the host name. */
function lookUpPod(name: string, request: NameRequest): Found | 'elsewhere' | undefined {
  const { mesh, client, clusterDomain, family } = request;
  const suffix = `.svc.${clusterDomain}`;
  const dot = name.indexOf('.');
  if (dot < 0 || !name.endsWith(suffix)) return undefined;
  const hostname = name.slice(dot + 1);
  if (hostname.slice(0, -suffix.length).split('.').length !== 2) return undefined;
  const service = mesh.serviceByHostname(hostname, client.namespace);
  if (!service) return undefined;
  if (service.addresses.length > 0) return 'elsewhere';
  const podName = name.slice(0, dot);
  const addresses = endpointAddresses(service, request, podName);
  if (addresses.length === 0) return 'elsewhere';
  return { service, addresses: offeredAddresses(addresses, service, family), isWildcard: false };
}

/** Of healthy endpoints that the client may reach directly; all, or those of the pod of a StatefulSet. */
function endpointAddresses(service: MeshService, { mesh, client }: NameRequest, podName?: string): string[] {
  const addresses = new Set<string>();
  for (const { workload } of mesh.endpoints(serviceKey(service.namespace, service.hostname)).values()) {
    if (workload.status === 'unhealthy' && service.loadBalancing?.healthPolicy !== 'allow-all') continue;
    if (workload.network !== client.network) continue;
    if (podName !== undefined && !isPodOfSet(workload, podName)) continue;
    for (const ip of workload.addresses) addresses.add(ip);
  }
  return [...addresses];
}

function isPodOfSet({ name, workloadName }: MeshWorkload, podName: string): boolean {
  return name === podName && name.startsWith(`${workloadName}-`) && /^\d+$/.test(name.slice(workloadName.length + 1));
}

function isOfCluster({ hostname }: MeshService, clusterDomain: string): boolean {
  return hostname.endsWith(`.svc.${clusterDomain}`);
}

/** Of endpoints: a Service of one family does not offer the other, though its pods have both. */
function offeredAddresses(addresses: readonly string[], service: MeshService, family: 'ipv4' | 'ipv6'): string[] {
  const isOffered = (serviceFamilies(service.ipFamilies) & (family === 'ipv6' ? ipv6 : ipv4)) !== 0;
  return isOffered ? ofFamily(addresses, family) : [];
}

function ofFamily(addresses: readonly string[], family: 'ipv4' | 'ipv6'): string[] {
  return addresses.filter((ip) => ip.includes(':') === (family === 'ipv6'));
}

function dotsOf(name: string): number {
  let dots = 0;
  for (let at = name.indexOf('.'); at >= 0; at = name.indexOf('.', at + 1)) dots++;
  return dots;
}
