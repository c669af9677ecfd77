/**
 * Addresses for hosts of ServiceEntries that have none, from 240.240.0.0/16 and 2001:2::/48, as Istio gives them: by them DNS can answer,
 * and connections to hosts that share a port can be told apart.
 *
 * They live in `status.addresses`, so that they outlive every replica. Which ones are free follows from the statuses of all entries
 * and the entry's own name alone: every replica comes to the same address, and the one that leads writes it. Of two that
 * claim one address the older keeps it, and only what an entry has kept is in force.
 */
import { hash } from 'node:crypto';
import type { ServiceEntry } from '../api/istio.ts';
import { canonicalIp, cidrContains, formatIp, parseCidr, tryParseIp } from '../lib/ip.ts';
import { hostsOf, isDynamic, isDynamicHost, isPassthrough, isWildcard } from './service-entry.ts';

/** An item of `status.addresses`. */
export interface EntryAddress {
  readonly value: string;
  readonly host?: string;
}

export interface Allocation {
  /** Addresses in force, by host. */
  readonly inForce: ReadonlyMap<string, readonly string[]>;
  /** What `status.addresses` is to hold; undefined: it is none of ours. */
  readonly wanted: readonly EntryAddress[] | undefined;
  /** Hosts for which no address was left. */
  readonly without: readonly string[];
}

export interface AllocationRequest {
  readonly entry: ServiceEntry;
  /** Whether another entry has the better claim to this address. */
  readonly isTaken: (ip: string) => boolean;
}

const optOutLabel = 'networking.istio.io/enable-autoallocate-ip';
const blocks = [parseCidr('240.240.0.0/16'), parseCidr('2001:2::/48')];
/** A space that is full to nine tenths takes ten tries. */
const maxTries = 512;

/** None for what goes to its own addresses, and for entries that are labelled so. */
export function wantsAddresses(entry: ServiceEntry): boolean {
  const { addresses = [] } = entry.spec;
  const label = entry.metadata.labels?.[optOutLabel];
  return addresses.length === 0 && !isPassthrough(entry) && label?.toLowerCase() !== 'false';
}

/** Addresses of the two blocks that the entry claims: by its status, and by its spec. */
export function claimedAddresses(entry: ServiceEntry): string[] {
  const declared = (entry.spec.addresses ?? []).map((text) => text.replace(/\/(32|128)$/, ''));
  return [...(wantsAddresses(entry) ? statusAddresses(entry).map(({ value }) => value) : []), ...declared].flatMap(
    (text) => (isOurs(text) ? [canonicalIp(text)] : []),
  );
}

/** What decides between two claims, smaller first: an address that a person wrote, then age, then the name. */
export function claimRank(entry: ServiceEntry): string {
  const { creationTimestamp = '', namespace, name } = entry.metadata;
  return `${wantsAddresses(entry) ? 1 : 0} ${creationTimestamp} ${namespace}/${name}`;
}

export function allocateAddresses({ entry, isTaken }: AllocationRequest): Allocation {
  const written = statusAddresses(entry);
  if (!wantsAddresses(entry)) {
    const isLeftOver = written.length > 0 && written.every(({ value }) => isOurs(value));
    return { inForce: new Map(), wanted: isLeftOver ? [] : undefined, without: [] };
  }
  const hosts = hostsOf(entry).filter(isDynamic(entry) ? isDynamicHost : (host) => !isWildcard(host));
  const used = new Set<string>();
  const inForce = new Map<string, readonly string[]>();
  for (const host of hosts) {
    const kept: string[] = [];
    for (const { value, host: of = hosts[0] ?? '' } of written) {
      // Older Istio wrote the address of a single host without its name.
      const ip = canonicalIp(value);
      if (of.toLowerCase() !== host || !isOurs(value) || used.has(ip) || isTaken(ip)) continue;
      used.add(ip);
      kept.push(ip);
    }
    if (kept.length > 0) inForce.set(host, kept);
  }
  const without: string[] = [];
  const wanted = hosts.flatMap((host): EntryAddress[] => {
    const kept = inForce.get(host) ?? [];
    const missing = [!kept.some((ip) => !ip.includes(':')), !kept.some((ip) => ip.includes(':'))] as const;
    const fresh = missing.some(Boolean) ? freeAddresses({ entry, host, missing, used, isTaken }) : [];
    if (!fresh) without.push(host);
    for (const ip of fresh ?? []) used.add(ip);
    return [...kept, ...(fresh ?? [])].map((value) => ({ value, host }));
  });
  return { inForce, wanted, without };
}

export function statusAddresses(entry: ServiceEntry): readonly EntryAddress[] {
  const { addresses } = (entry.status ?? {}) as { readonly addresses?: unknown };
  if (!Array.isArray(addresses)) return [];
  return addresses.filter((item): item is EntryAddress => typeof item?.value === 'string');
}

interface FreeRequest extends AllocationRequest {
  readonly host: string;
  /** IPv4, IPv6. */
  readonly missing: readonly [boolean, boolean];
  readonly used: ReadonlySet<string>;
}

/** The same number in both blocks; which one follows from the names. Undefined: none was found. */
function freeAddresses({ entry, host, missing, used, isTaken }: FreeRequest): string[] | undefined {
  const { namespace, name } = entry.metadata;
  const digest = hash('sha256', `${namespace}/${name}/${host}`, 'buffer');
  const [start, step] = [digest.readUInt16BE(0), digest.readUInt16BE(2) | 1];
  for (let attempt = 0; attempt < maxTries; attempt++) {
    const number = (start + attempt * step) & 0xffff;
    // What looks like the address of a network or a broadcast is left alone.
    if ((number & 0xff) === 0 || (number & 0xff) === 0xff) continue;
    const pair = addressesOf(number).filter((_, i) => missing[i]);
    if (pair.every((ip) => !used.has(ip) && !isTaken(ip))) return pair;
  }
  return undefined;
}

function addressesOf(number: number): [string, string] {
  const v6 = new Uint8Array(16);
  v6.set([0x20, 0x01, 0x00, 0x02]);
  v6.set([number >> 8, number & 0xff], 14);
  return [`240.240.${number >> 8}.${number & 0xff}`, formatIp(v6)];
}

function isOurs(text: string): boolean {
  const bytes = tryParseIp(text);
  return bytes !== undefined && blocks.some((block) => cidrContains(block, bytes));
}
