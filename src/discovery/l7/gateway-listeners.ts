/** Listeners of a Gateway: which of them serve, with what, for which routes, and what is wrong with the others. Pure. */
import type { Gateway } from '../../api/gateway.ts';
import type { EdgeTls } from '../../api/l7/index.ts';
import type { LabelSelector } from '../../api/meta.ts';
import { hboneListeners, hbonePort, type GatewayRole } from '../gateway-role.ts';
import type { ObjectVerdict } from '../waypoint-binding.ts';
import { clientValidation, type ClientValidation } from './gateway-listeners-clients.ts';
import { conflictsOf } from './gateway-listeners-conflicts.ts';
import { listenerTls, type CertificateScope, type ListenerTls } from './gateway-listeners-tls.ts';

type GatewayListener = Gateway['spec']['listeners'][number];

export type ListenerProtocol = 'http' | 'https' | 'tls' | 'tcp' | 'hbone';
export type RouteKind = 'HTTPRoute' | 'GRPCRoute' | 'TLSRoute' | 'TCPRoute';

export interface ListenerView {
  readonly name: string;
  /** Place in `spec.listeners`. */
  readonly index: number;
  readonly port: number;
  /** Undefined: one that we do not speak. */
  readonly protocol: ListenerProtocol | undefined;
  /** `*` where the listener says none; in lower case. */
  readonly hostname: string;
  /** Kinds that it serves and lets attach. */
  readonly supportedKinds: readonly RouteKind[];
  readonly allowed: { readonly from: 'All' | 'Same' } | { readonly from: 'Selector'; readonly selector: LabelSelector };
  readonly tls?: EdgeTls;
  /** PEM of the secret that `tls.clientCa` names. */
  readonly clientCertificates?: string;
  /** PEM of the revocation lists of those authorities. */
  readonly clientRevocations?: string;
  /** Whether proxies are told of it: it is programmed, or may be served by one that holds more than we know of. */
  readonly isTold: boolean;
  /** By type: Accepted, Conflicted, Programmed, ResolvedRefs. */
  readonly conditions: Readonly<Record<string, ObjectVerdict>>;
}

/** Proxies have them for themselves: admin, telemetry, probes. */
const ownPorts: ReadonlySet<number> = new Set([15000, 15020, 15021, 15090]);

const protocols: Readonly<Record<string, ListenerProtocol>> = {
  HTTP: 'http',
  HTTPS: 'https',
  TLS: 'tls',
  TCP: 'tcp',
  HBONE: 'hbone',
};

const httpKinds: readonly RouteKind[] = ['HTTPRoute', 'GRPCRoute'];

export function viewListeners(
  gateway: Gateway,
  role: Exclude<GatewayRole, 'foreign' | 'unknown'>,
  certificates: CertificateScope,
): ListenerView[] {
  const { listeners } = gateway.spec;
  const conflicts = conflictsOf(listeners);
  return listeners.map((listener, index) => {
    const protocol = protocols[listener.protocol];
    const kinds = kindsOf(listener, protocol);
    const tls = listenerTls(listener, certificates);
    const clients = clientValidation(gateway, listener, certificates);
    const isSecondTunnel = role === 'east-west' && protocol === 'hbone' && listener !== hboneListeners(gateway)[0];
    const accepted = isSecondTunnel
      ? no('UnsupportedValue', 'clients are told of one listener for HBONE alone, the first')
      : acceptance(listener, role, { tls, clients });
    const conflict = conflicts.get(listener.name);
    const references = tls.problem ?? clients?.problem ?? kinds.problem;
    const isValid = accepted.status === 'True' && !conflict;
    const isServed = isValid && !tls.isBroken;
    return {
      name: listener.name,
      index,
      port: listener.port,
      protocol: accepted.status === 'True' ? protocol : undefined,
      hostname: listener.hostname?.toLowerCase() || '*',
      supportedKinds: accepted.status === 'True' ? kinds.supported : [],
      allowed: allowedNamespaces(listener),
      ...(tls.tls ? { tls: { ...tls.tls, ...(clients?.clientCa ? { clientCa: clients.clientCa } : {}) } } : {}),
      ...(clients?.clientCa
        ? { clientCertificates: clients.certificates, clientRevocations: clients.revocations }
        : {}),
      isTold: isServed || (isValid && tls.isKept === true),
      conditions: {
        Accepted: conflict && accepted.status === 'True' ? no(conflict.reason, conflict.message) : accepted,
        Conflicted: conflict
          ? { status: 'True', reason: conflict.reason, message: conflict.message }
          : no('NoConflicts', 'no other listener is in the way'),
        Programmed: isServed
          ? yes('Programmed', 'proxies are told of it')
          : no(
              'Invalid',
              (accepted.status === 'True' ? conflict?.message : accepted.message) ?? references?.message ?? '',
            ),
        ResolvedRefs: references
          ? no(references.reason, references.message)
          : yes('ResolvedRefs', 'all references hold'),
      },
    };
  });
}

function acceptance(
  listener: GatewayListener,
  role: GatewayRole,
  { tls, clients }: { readonly tls: ListenerTls; readonly clients: ClientValidation | undefined },
): ObjectVerdict {
  const { protocol, port } = listener;
  if (role === 'waypoint' && (protocol !== 'HBONE' || port !== hbonePort)) {
    return no('UnsupportedProtocol', `a waypoint has a single listener, on port ${hbonePort} with protocol "HBONE"`);
  }
  if (role === 'east-west' && protocol !== 'HBONE') {
    return no('UnsupportedProtocol', 'a gateway between networks takes protocol "HBONE" alone');
  }
  const known = protocols[protocol];
  if (!known) {
    const upper = protocol.toUpperCase();
    const hint = protocols[upper] ? `, but ${upper} is: case matters` : '';
    return no('UnsupportedProtocol', `protocol ${JSON.stringify(protocol)} is not supported${hint}`);
  }
  if (known === 'hbone' && role === 'ingress') {
    return no('UnsupportedProtocol', 'protocol "HBONE" is for waypoints and gateways between networks alone');
  }
  if (ownPorts.has(port)) return no('PortUnavailable', `port ${port} is the proxy's own`);
  if (tls.refusal !== undefined) return no('UnsupportedValue', tls.refusal);
  if (clients && !clients.clientCa) {
    return no(
      'NoValidCACertificate',
      `no client can be told from another: ${clients.problem?.message ?? 'no certificate is named'}`,
    );
  }
  return yes('Accepted', 'the listener is valid');
}

interface Kinds {
  readonly supported: readonly RouteKind[];
  readonly problem?: { readonly reason: string; readonly message: string };
}

function kindsOf(listener: GatewayListener, protocol: ListenerProtocol | undefined): Kinds {
  const served = servedKinds(listener, protocol);
  const asked = listener.allowedRoutes?.kinds ?? [];
  if (asked.length === 0) return { supported: served };
  const isServed = ({ group = gatewayGroup, kind }: (typeof asked)[number]): boolean =>
    group === gatewayGroup && served.some((one) => one === kind);
  const refused = asked.filter((one) => !isServed(one)).map(({ kind }) => kind);
  const supported = served.filter((kind) => asked.some((one) => isServed(one) && one.kind === kind));
  if (refused.length === 0) return { supported };
  const message = `protocol ${listener.protocol} has no routes of kind ${refused.join(', ')}`;
  return { supported, problem: { reason: 'InvalidRouteKinds', message } };
}

export const gatewayGroup = 'gateway.networking.k8s.io';

function servedKinds({ tls }: GatewayListener, protocol: ListenerProtocol | undefined): readonly RouteKind[] {
  switch (protocol) {
    case 'http':
    case 'https':
      return httpKinds;
    case 'tls':
      return tls?.mode === 'Passthrough' ? ['TLSRoute'] : ['TLSRoute', 'TCPRoute'];
    case 'tcp':
      return ['TCPRoute'];
    case 'hbone':
    case undefined:
      return [];
  }
}

function allowedNamespaces({ allowedRoutes }: GatewayListener): ListenerView['allowed'] {
  const { from = 'Same', selector = {} } = allowedRoutes?.namespaces ?? {};
  return from === 'Selector' ? { from, selector: selector as LabelSelector } : { from };
}

export function yes(reason: string, message: string): ObjectVerdict {
  return { status: 'True', reason, message };
}

export function no(reason: string, message: string): ObjectVerdict {
  return { status: 'False', reason, message };
}
