/**
 * PeerAuthentication -> Authorization (ambient-l4, 10.6): STRICT is a DENY of callers without identity.
 *
 * Unlike upstream, UNSET ports follow the mode they inherit and DISABLE is PERMISSIVE everywhere, ports included.
 */
import type { PeerAuthentication } from '../api/istio.ts';
import { policyKey, type PolicyKey } from '../api/names.ts';
import { emptyMatch, type Authorization, type AuthorizationRule } from '../policy/model.ts';

export type PeerMode = 'strict' | 'permissive';

/** What workloads bound by one PeerAuthentication with a selector get. */
export interface PeerConversion {
  /** A policy of its own, where ports differ from the rest. */
  readonly dedicated?: Authorization;
  /** The policy to name on those workloads; absent when plaintext is let in everywhere. */
  readonly reference?: PolicyKey;
}

const staticStrictName = 'istio_converted_static_strict';

export function staticStrictKey(rootNamespace: string): PolicyKey {
  return policyKey(rootNamespace, staticStrictName);
}

/** Denies whoever has no identity; workloads under STRICT name it. */
export function staticStrictPolicy(rootNamespace: string): Authorization {
  return {
    name: staticStrictName,
    namespace: rootNamespace,
    scope: 'workload-selector',
    action: 'deny',
    rules: [{ clauses: [{ matches: [{ ...emptyMatch, notPrincipals: [{ kind: 'presence' }] }] }] }],
    dryRun: false,
  };
}

/** Labels that a workload needs; undefined when it speaks for its namespace, or from the root namespace for the mesh. */
export function peerSelector(peer: PeerAuthentication): Readonly<Record<string, string>> | undefined {
  const labels = peer.spec?.selector?.matchLabels ?? {};
  return Object.keys(labels).length > 0 ? labels : undefined;
}

/** The one of several that counts: the oldest, then the first by name. */
export function oldestPeer(peers: Iterable<PeerAuthentication>): PeerAuthentication | undefined {
  let oldest: PeerAuthentication | undefined;
  for (const peer of peers) if (!oldest || isOlder(peer, oldest)) oldest = peer;
  return oldest;
}

/** Mode of a namespace: its own, else the mesh's, else permissive. Each is the oldest without a selector there. */
export function namespaceMode(own: PeerAuthentication | undefined, mesh: PeerAuthentication | undefined): PeerMode {
  return modeOf(own?.spec?.mtls?.mode) ?? modeOf(mesh?.spec?.mtls?.mode) ?? 'permissive';
}

/** What the workloads selected by `peer` get, in a namespace whose mode is `inherited`. */
export function convertPeerAuthentication(
  peer: PeerAuthentication,
  inherited: PeerMode,
  rootNamespace: string,
): PeerConversion {
  const base = modeOf(peer.spec?.mtls?.mode) ?? inherited;
  // Of an object that no schema has checked: a port with nothing follows the rest.
  const ports: [string, { readonly mode?: string } | null][] = Object.entries(peer.spec?.portLevelMtls ?? {});
  const exceptions = ports
    .filter(([port, own]) => isPort(port) && (modeOf(own?.mode) ?? base) !== base)
    .map(([port]) => Number(port))
    .toSorted((a, b) => a - b);
  if (exceptions.length === 0) return base === 'strict' ? { reference: staticStrictKey(rootNamespace) } : {};
  const { name = '', namespace = '' } = peer.metadata;
  const dedicated: Authorization = {
    name: `converted_peer_authentication_${name}`,
    namespace,
    scope: 'workload-selector',
    action: 'deny',
    rules: base === 'strict' ? strictBut(exceptions) : strictOnly(exceptions),
    dryRun: false,
  };
  return { dedicated, reference: policyKey(namespace, dedicated.name) };
}

/** Without identity, and not at any of these ports. */
function strictBut(ports: readonly number[]): AuthorizationRule[] {
  return [
    {
      clauses: [
        { matches: [{ ...emptyMatch, notPrincipals: [{ kind: 'presence' }] }] },
        ...ports.map((port) => ({ matches: [{ ...emptyMatch, notDestinationPorts: [port] }] })),
      ],
    },
  ];
}

/** Without identity, and at one of these ports. */
function strictOnly(ports: readonly number[]): AuthorizationRule[] {
  return ports.map((port) => ({
    clauses: [{ matches: [{ ...emptyMatch, notPrincipals: [{ kind: 'presence' }], destinationPorts: [port] }] }],
  }));
}

function modeOf(mode: string | undefined): PeerMode | undefined {
  switch (mode) {
    case undefined:
    case 'UNSET':
      return undefined;
    case 'PERMISSIVE':
    case 'DISABLE':
      return 'permissive';
    default:
      // STRICT, and whatever a newer API may add: never wider than asked.
      return 'strict';
  }
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65535;
}

function isOlder(a: PeerAuthentication, b: PeerAuthentication): boolean {
  const [timeA = '', timeB = ''] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
  if (timeA !== timeB) return timeA < timeB;
  return `${a.metadata.namespace}/${a.metadata.name}` < `${b.metadata.namespace}/${b.metadata.name}`;
}
