/** Which resolvers a pod asks: by its own resolv.conf where it can be seen, else by what kubelet would have written. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { Pod } from '../api/index.ts';
import { formatIp, isLoopback, tryParseIp } from '../lib/ip.ts';
import type { PodResolver } from '../wire/index.ts';

/** As many as resolvers of the C library read. */
const maxNameservers = 3;
/** A ZDS packet holds 1024 bytes in all. */
const maxSearchBytes = 400;
const maxNdots = 15;
const maxTries = 20;

export interface ClusterDns {
  /** What kubelet gives pods of `dnsPolicy: ClusterFirst`. */
  readonly nameservers: readonly string[];
  readonly clusterDomain: string;
  /** The node's own resolv.conf. */
  readonly nodeResolvConf: string;
}

/** What a resolv.conf(5) says, without resolvers inside the pod (they are never captured); undefined without any other. */
export function parseResolvConf(text: string): PodResolver | undefined {
  const nameservers: string[] = [];
  let search: string[] = [];
  let ndots = 1;
  for (const line of text.split('\n')) {
    const [keyword = '', ...values] = line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'nameserver') nameservers.push(values[0] ?? '');
    // The last one counts.
    else if (keyword === 'search' || keyword === 'domain') search = values;
    else if (keyword === 'options') {
      const given = values.map((value) => /^ndots:(\d+)$/.exec(value)?.[1]).findLast((value) => value !== undefined);
      if (given !== undefined) ndots = Number(given);
    }
  }
  return resolverOf(nameservers, search, ndots);
}

/** As kubelet composes it. Undefined when the pod's resolvers are not known. */
export function plannedResolver(
  pod: Pod,
  { nameservers, clusterDomain, nodeResolvConf }: ClusterDns,
): PodResolver | undefined {
  const { dnsPolicy = 'ClusterFirst', dnsConfig, hostNetwork = false } = pod.spec;
  const isCluster = dnsPolicy === 'ClusterFirstWithHostNet' || (dnsPolicy === 'ClusterFirst' && !hostNetwork);
  const node = dnsPolicy === 'Default' ? parseResolvConf(nodeResolvConf) : undefined;
  if (isCluster && nameservers.length === 0) return undefined;
  const namespace = pod.metadata.namespace ?? 'default';
  const own = isCluster
    ? [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain]
    : (node?.search ?? []);
  const ndots = dnsConfig?.options?.findLast((option) => option.name === 'ndots')?.value;
  return resolverOf(
    [...(isCluster ? nameservers : (node?.nameservers ?? [])), ...(dnsConfig?.nameservers ?? [])],
    [...new Set([...own, ...(dnsConfig?.searches ?? [])])],
    ndots === undefined ? (isCluster ? 5 : (node?.ndots ?? 1)) : Number(ndots),
  );
}

/** The file as a process of the pod sees it; undefined while there is none, or it may not be seen. */
export function readResolvConfOf(processFolder: string): PodResolver | undefined {
  try {
    return parseResolvConf(readForeignFile(`${processFolder}/root/etc/resolv.conf`));
  } catch {
    return undefined;
  }
}

/** `O_PATH` of Linux: names a file without opening it. */
const pathOnly = 0o10000000;
const maxFileBytes = 64 * 1024;

/** What stands there is the pod's choice: a pipe would never open, a device has effects, and a file may be without end. */
function readForeignFile(path: string): string {
  const named = openSync(path, pathOnly);
  try {
    if (!fstatSync(named).isFile()) throw new Error('it is no file');
    const fd = openSync(`/proc/self/fd/${named}`, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const memory = Buffer.alloc(maxFileBytes);
      return memory.toString('utf8', 0, readSync(fd, memory));
    } finally {
      closeSync(fd);
    }
  } finally {
    closeSync(named);
  }
}

function resolverOf(nameservers: readonly string[], search: readonly string[], ndots: number): PodResolver | undefined {
  const usable = nameservers.flatMap((text) => {
    // A scope belongs to a link-local address, which no rule can name.
    const bytes = tryParseIp(text);
    return bytes && !isLoopback(bytes) ? [formatIp(bytes)] : [];
  });
  if (usable.length === 0) return undefined;
  let left = maxSearchBytes;
  const fitting = search.filter((domain) => (left -= Buffer.byteLength(domain) + 2) >= 0);
  return {
    nameservers: [...new Set(usable)].slice(0, maxNameservers),
    search: fitting,
    ndots: Math.min(Number.isInteger(ndots) && ndots >= 0 ? ndots : 1, maxNdots),
  };
}

/** What a pod's resolv.conf said, and which containers were running then: others may have another one. */
interface SeenResolver {
  readonly containers: string;
  readonly resolver: PodResolver;
}

/** The resolvers of the node's pods, each looked up once it can be seen, and again when other containers run. */
export class PodResolvers {
  readonly #clusterDns: ClusterDns | undefined;
  readonly #processFolder: (uid: string) => string | undefined;
  readonly #seen = new Map<string, SeenResolver>();
  /** How many resolvers each pod had at first: a proxy has opened as many ports for them. */
  readonly #limits = new Map<string, number>();
  /** How often a pod was looked for in vain, while the same containers ran. */
  readonly #tries = new Map<string, { readonly containers: string; readonly count: number }>();

  constructor(clusterDns: ClusterDns | undefined, processFolder: (uid: string) => string | undefined) {
    this.#clusterDns = clusterDns;
    this.#processFolder = processFolder;
  }

  /** Never more resolvers than at first. */
  of(pod: Pod): PodResolver | undefined {
    const { uid = '' } = pod.metadata;
    const found = this.#find(pod, uid);
    if (!found) return undefined;
    const limit = this.#limits.get(uid) ?? found.nameservers.length;
    this.#limits.set(uid, limit);
    return { ...found, nameservers: found.nameservers.slice(0, limit) };
  }

  /** The pod's queries are not captured: a proxy has a port for one resolver at most. */
  skip(pod: Pod): void {
    const { uid = '' } = pod.metadata;
    if (!this.#limits.has(uid)) this.#limits.set(uid, 1);
  }

  #find(pod: Pod, uid: string): PodResolver | undefined {
    const containers = runningContainers(pod);
    const seen = this.#seen.get(uid);
    if (seen && (seen.containers === containers || containers === '')) return seen.resolver;
    const tried = this.#tries.get(uid);
    const count = tried?.containers === containers ? tried.count : 0;
    const folder = containers !== '' && count < maxTries ? this.#processFolder(uid) : undefined;
    const found = folder === undefined ? undefined : readResolvConfOf(folder);
    if (found) this.#seen.set(uid, { containers, resolver: found });
    else if (containers !== '') this.#tries.set(uid, { containers, count: count + 1 });
    return found ?? seen?.resolver ?? (this.#clusterDns && plannedResolver(pod, this.#clusterDns));
  }

  forget(uid: string): void {
    this.#seen.delete(uid);
    this.#tries.delete(uid);
    this.#limits.delete(uid);
  }
}

/** Names those that run, each start anew; empty when none does. */
function runningContainers(pod: Pod): string {
  return (pod.status?.containerStatuses ?? [])
    .flatMap(({ name, state, containerID }) =>
      state?.running === undefined ? [] : [`${name} ${containerID ?? ''} ${state.running.startedAt ?? ''}`],
    )
    .toSorted()
    .join();
}
