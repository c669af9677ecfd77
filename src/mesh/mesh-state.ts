/** The data plane's view of the mesh: what WDS said, indexed for one look-up a connection. */
import {
  policyKey,
  serviceKey,
  type NetworkId,
  type PolicyKey,
  type ServiceKey,
  type WorkloadUid,
} from '../api/names.ts';
import type { MeshAddress, MeshService, MeshWorkload, ServicePort } from '../api/workload.ts';
import type { Authorization, PolicySet } from '../policy/index.ts';
import { BlockIndex, MultiMap, networkIpKey, preferredService, preferredWorkload } from './ip-index.ts';

/** One response: `updated` in the order received, then `removed` (uids or `<namespace>/<hostname>`). */
export interface AddressUpdate {
  readonly updated: readonly MeshAddress[];
  readonly removed: readonly string[];
}

export interface AuthorizationUpdate {
  readonly updated: readonly Authorization[];
  readonly removed: readonly string[];
}

/** A workload as an endpoint of one service. */
export interface Endpoint {
  readonly workload: MeshWorkload;
  /** Ports that this endpoint serves there: service port to its own port. */
  readonly ports: readonly ServicePort[];
}

/** All endpoints of one service at one moment: another object after each change, so that what is derived from it can be kept with it. */
export interface EndpointSet {
  readonly byUid: ReadonlyMap<WorkloadUid, Endpoint>;
}

/** What an update changed. Policies bind by namespace and name, so any policy may concern any connection. */
export type MeshChange =
  | { readonly kind: 'policies'; readonly keys: readonly PolicyKey[] }
  | {
      readonly kind: 'addresses';
      readonly workloads: ReadonlySet<WorkloadUid>;
      readonly services: ReadonlySet<ServiceKey>;
    };

export type MeshListener = (change: MeshChange) => void;

/**
 * Everything is kept until an update removes it: a lost control plane changes nothing (fail static).
 * Values are never changed in place, so a caller may hold a workload and compare it by identity with a later look-up.
 */
export class MeshState {
  readonly #workloads = new Map<WorkloadUid, MeshWorkload>();
  readonly #byIp = new MultiMap<string, MeshWorkload>();
  readonly #byName = new MultiMap<string, MeshWorkload>();
  readonly #services = new Map<ServiceKey, MeshService>();
  readonly #byHostname = new MultiMap<string, MeshService>();
  readonly #byVip = new MultiMap<string, MeshService>();
  readonly #blocks = new BlockIndex();
  /** Keyed by service, whether the service is known or not: what has no service yet is staged. */
  readonly #endpoints = new Map<ServiceKey, { readonly byUid: Map<WorkloadUid, Endpoint> }>();
  readonly #policies = new Map<PolicyKey, Authorization>();
  readonly #globalPolicies = new Set<PolicyKey>();
  readonly #namespacePolicies = new MultiMap<string, PolicyKey>();
  readonly #listeners = new Set<MeshListener>();
  /** Policy sets by workload, forgotten as a whole when any policy changes. */
  #policySets = new WeakMap<MeshWorkload, PolicySet>();
  #revision = 0;

  /** Another number after each update of addresses that changed something. */
  get revision(): number {
    return this.#revision;
  }

  /** Calls `listener` after each update that changed something, until the returned function is called. */
  subscribe(listener: MeshListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  applyAddresses(update: AddressUpdate): void {
    const workloads = new Set<WorkloadUid>();
    const services = new Set<ServiceKey>();
    for (const address of update.updated) {
      if (address.kind === 'workload') {
        this.#removeWorkload(address.workload.uid);
        this.#insertWorkload(address.workload);
        workloads.add(address.workload.uid);
      } else {
        const key = serviceKey(address.service.namespace, address.service.hostname);
        this.#removeService(key);
        this.#insertService(key, address.service);
        services.add(key);
      }
    }
    for (const name of update.removed) {
      if (this.#removeWorkload(name as WorkloadUid)) workloads.add(name as WorkloadUid);
      else if (this.#removeService(name as ServiceKey)) services.add(name as ServiceKey);
    }
    if (workloads.size + services.size === 0) return;
    this.#revision++;
    this.#notify({ kind: 'addresses', workloads, services });
  }

  applyAuthorizations(update: AuthorizationUpdate): void {
    const keys: PolicyKey[] = [];
    for (const policy of update.updated) {
      const key = policyKey(policy.namespace, policy.name);
      this.#removePolicy(key);
      this.#policies.set(key, policy);
      if (policy.scope === 'global') this.#globalPolicies.add(key);
      if (policy.scope === 'namespace') this.#namespacePolicies.add(policy.namespace, key);
      keys.push(key);
    }
    for (const name of update.removed) {
      if (this.#removePolicy(name as PolicyKey)) keys.push(name as PolicyKey);
    }
    if (keys.length === 0) return;
    this.#policySets = new WeakMap();
    this.#notify({ kind: 'policies', keys });
  }

  workload(uid: WorkloadUid): MeshWorkload | undefined {
    return this.#workloads.get(uid);
  }

  /** The workload that has `ip` in `network`. Host-network workloads are never found by address. */
  workloadByIp(network: NetworkId, ip: string): MeshWorkload | undefined {
    const claimants = this.#byIp.get(networkIpKey(network, ip));
    return claimants && preferredWorkload(claimants);
  }

  /** The workload of a pod, by what the node agent knows of it. */
  workloadOfPod(pod: { namespace: string; name: string; serviceAccount: string }): MeshWorkload | undefined {
    for (const workload of this.#byName.get(`${pod.namespace}/${pod.name}`) ?? []) {
      if (workload.serviceAccount === pod.serviceAccount) return workload;
    }
    return undefined;
  }

  service(key: ServiceKey): MeshService | undefined {
    return this.#services.get(key);
  }

  /** The service that claims `ip` as a virtual address: exactly, else by the best block. Of several that are alike one that has `port`. */
  serviceByVip(network: NetworkId, ip: string, clientNamespace: string, port?: number): MeshService | undefined {
    const claimants = this.#byVip.get(networkIpKey(network, ip));
    const exact = claimants && preferredService(claimants, clientNamespace, { port });
    return exact ?? this.#blocks.find(network, ip, { namespace: clientNamespace, port });
  }

  /** Whether some service has just this address, whoever sees it. */
  isVirtualAddress(network: NetworkId, ip: string): boolean {
    return this.#byVip.get(networkIpKey(network, ip)) !== undefined;
  }

  serviceByHostname(hostname: string, clientNamespace: string, preferredNamespace?: string): MeshService | undefined {
    const claimants = this.#byHostname.get(hostname);
    return claimants && preferredService(claimants, clientNamespace, { preferredNamespace });
  }

  /** All endpoints of a service, healthy or not. */
  endpoints(key: ServiceKey): ReadonlyMap<WorkloadUid, Endpoint> {
    return this.endpointSet(key).byUid;
  }

  endpointSet(key: ServiceKey): EndpointSet {
    return this.#endpoints.get(key) ?? noEndpoints;
  }

  policy(key: PolicyKey): Authorization | undefined {
    return this.#policies.get(key);
  }

  /** Everything that binds `workload`: its namespace's policies, global ones, and those it names. */
  policiesFor(workload: MeshWorkload): PolicySet {
    const known = this.#policySets.get(workload);
    if (known) return known;
    const keys = new Set<PolicyKey>([
      ...(this.#namespacePolicies.get(workload.namespace) ?? []),
      ...this.#globalPolicies,
      ...workload.authorizationPolicies,
    ]);
    const policies: Authorization[] = [];
    const missing: PolicyKey[] = [];
    for (const key of keys) {
      const policy = this.#policies.get(key);
      if (policy) policies.push(policy);
      else missing.push(key);
    }
    const set = { policies, missing };
    this.#policySets.set(workload, set);
    return set;
  }

  workloads(): Iterable<MeshWorkload> {
    return this.#workloads.values();
  }

  services(): Iterable<MeshService> {
    return this.#services.values();
  }

  policies(): Iterable<Authorization> {
    return this.#policies.values();
  }

  /** Services that endpoints name and that have not arrived. */
  stagedServices(): ServiceKey[] {
    return [...this.#endpoints.keys()].filter((key) => !this.#services.has(key));
  }

  #insertWorkload(workload: MeshWorkload): void {
    this.#workloads.set(workload.uid, workload);
    for (const key of ipKeys(workload)) this.#byIp.add(key, workload);
    this.#byName.add(`${workload.namespace}/${workload.name}`, workload);
    for (const [key, ports] of workload.services) {
      const byUid = this.#endpoints.get(key)?.byUid ?? new Map<WorkloadUid, Endpoint>();
      byUid.set(workload.uid, { workload, ports });
      this.#endpoints.set(key, { byUid });
    }
  }

  #removeWorkload(uid: WorkloadUid): boolean {
    const workload = this.#workloads.get(uid);
    if (!workload) return false;
    this.#workloads.delete(uid);
    for (const key of ipKeys(workload)) this.#byIp.remove(key, workload);
    this.#byName.remove(`${workload.namespace}/${workload.name}`, workload);
    for (const key of workload.services.keys()) {
      const byUid = this.#endpoints.get(key)?.byUid;
      if (!byUid?.delete(uid)) continue;
      if (byUid.size === 0) this.#endpoints.delete(key);
      else this.#endpoints.set(key, { byUid });
    }
    return true;
  }

  #insertService(key: ServiceKey, service: MeshService): void {
    this.#services.set(key, service);
    this.#byHostname.add(service.hostname, service);
    for (const vip of vipKeys(service)) this.#byVip.add(vip, service);
    this.#blocks.add(service);
  }

  #removeService(key: ServiceKey): boolean {
    const service = this.#services.get(key);
    if (!service) return false;
    this.#services.delete(key);
    this.#byHostname.remove(service.hostname, service);
    for (const vip of vipKeys(service)) this.#byVip.remove(vip, service);
    this.#blocks.remove(service);
    return true;
  }

  #removePolicy(key: PolicyKey): boolean {
    const policy = this.#policies.get(key);
    if (!policy) return false;
    this.#policies.delete(key);
    this.#globalPolicies.delete(key);
    this.#namespacePolicies.remove(policy.namespace, key);
    return true;
  }

  #notify(change: MeshChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}

const noEndpoints: EndpointSet = { byUid: new Map() };

function ipKeys(workload: MeshWorkload): string[] {
  if (workload.networkMode === 'host-network') return [];
  return workload.addresses.map((ip) => networkIpKey(workload.network, ip));
}

function vipKeys(service: MeshService): string[] {
  return service.addresses.filter((a) => a.prefixLength === undefined).map((a) => networkIpKey(a.network, a.ip));
}
