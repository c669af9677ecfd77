/**
 * The configuration that the proxy is told, and the last one that was whole.
 *
 * One response of discovery is one transaction. What was told is kept even where it is refused, as the server believes that we have it
 * and sends only what changes next: the configuration is right again once all that was told fits together.
 */
import { messageOf } from '../../lib/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import type { ProxyResource } from '../../api/l7/index.ts';
import { decodeProxyResource, proxyResourceTypeUrl } from '../../wire/index.ts';
import type { DeltaClientType, DeltaUpdate, DeltaVerdict } from '../../xds/index.ts';
import { assembleSnapshot } from './assemble.ts';
import { findReferenceFaults } from './references.ts';
import type { ProxySnapshot } from './snapshot.ts';

export interface ConfigStoreOptions {
  readonly clock: Clock;
  /** Looks at a configuration whose references resolve before it counts; a throw refuses it, in the words of the error. */
  readonly check?: (next: ProxySnapshot, previous: ProxySnapshot | undefined) => void;
}

/** Called after each configuration that counts from now on. Never throws. */
export type ConfigListener = (next: ProxySnapshot, previous: ProxySnapshot | undefined) => void;

export interface ConfigStatus {
  /** Since when the snapshot counts, in ms since the epoch; 0: never. */
  readonly acceptedAtMs: number;
  /** Why what was told last does not count; undefined when it does. */
  readonly refusal: string | undefined;
  /** Of each resource that was told: its version, whether it is one that counts, and what is wrong with it. */
  readonly resources: readonly {
    readonly name: string;
    readonly version: string;
    readonly toldAtMs: number;
    readonly inForce: boolean;
    readonly fault?: string;
  }[];
}

export interface ConfigStore {
  /** For `startDeltaClient`. */
  readonly type: DeltaClientType;
  /** The last good one; undefined until there is one, and the proxy is not ready. */
  readonly snapshot: ProxySnapshot | undefined;
  /** Returns the removal. */
  subscribe(listener: ConfigListener): () => void;
  status(): ConfigStatus;
}

/** A resource as it was told last. */
interface Told {
  readonly version: string;
  readonly toldAtMs: number;
  readonly content: { readonly resource: ProxyResource } | { readonly fault: string };
}

export function createConfigStore({ clock, check = () => {} }: ConfigStoreOptions): ConfigStore {
  const told = new Map<string, Told>();
  const listeners = new Set<ConfigListener>();
  let snapshot: ProxySnapshot | undefined;
  let inForce: ReadonlyMap<string, string> = new Map();
  let acceptedAtMs = 0;
  let refusal: string | undefined;

  function apply({ added, removed }: DeltaUpdate): DeltaVerdict {
    for (const { name, version, body } of added) {
      // The same version is the same content: the object stays, and all that was made from it.
      const held = told.get(name);
      if (held?.version === version) continue;
      told.set(name, { version, toldAtMs: clock.nowMs(), content: contentOf(name, body, held) });
    }
    for (const name of removed) told.delete(name);
    refusal = accept();
    if (refusal === undefined) return { rejected: [] };
    const reason = refusal;
    return { rejected: added.map(({ name }) => ({ name, reason })), refusal };
  }

  /** Why what was told does not count; undefined: from now on it does. */
  function accept(): string | undefined {
    // A proxy that is told nothing any more is about to go: it serves as before until then.
    if (told.size === 0) return undefined;
    const resources: ProxyResource[] = [];
    const faults: string[] = [];
    for (const [name, { content }] of told) {
      if ('fault' in content) faults.push(`${name}: ${content.fault}`);
      else resources.push(content.resource);
    }
    if (faults.length > 0) return inWords(faults);
    const next = assembleSnapshot(resources, snapshot);
    if (!next) return 'settings/default: it is not there';
    const unresolved = findReferenceFaults(next);
    if (unresolved.length > 0) {
      return inWords(unresolved.map(({ resource, path, state }) => `${resource}: Cannot accept ${path}: ${state}`));
    }
    const previous = snapshot;
    try {
      check(next, previous);
    } catch (error) {
      return messageOf(error);
    }
    inForce = new Map([...told].map(([name, { version }]) => [name, version]));
    acceptedAtMs = clock.nowMs();
    if (previous && isSame(next, previous)) return undefined;
    snapshot = next;
    for (const listener of listeners) listener(next, previous);
    return undefined;
  }

  return {
    type: { typeUrl: proxyResourceTypeUrl, apply },
    get snapshot() {
      return snapshot;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    status: () => ({
      acceptedAtMs,
      refusal,
      resources: [...told].map(([name, { version, toldAtMs, content }]) => ({
        name,
        version,
        toldAtMs,
        inForce: inForce.get(name) === version,
        ...('fault' in content ? { fault: content.fault } : {}),
      })),
    }),
  };
}

function contentOf(name: string, body: Uint8Array, before: Told | undefined): Told['content'] {
  try {
    const known = before && 'resource' in before.content ? before.content.resource : undefined;
    return { resource: decodeProxyResource(name, body, known) };
  } catch (error) {
    return { fault: messageOf(error) };
  }
}

const mostFaults = 10;

function inWords(faults: readonly string[]): string {
  const first = faults.slice(0, mostFaults).join('; ');
  return faults.length > mostFaults ? `${first}; and ${faults.length - mostFaults} more` : first;
}

function isSame(next: ProxySnapshot, previous: ProxySnapshot): boolean {
  return Object.entries(next).every(([key, value]) => previous[key as keyof ProxySnapshot] === value);
}
