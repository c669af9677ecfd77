/** A Gateway of ours, as routes and proxies see it, and what its status says of it. Pure. */
import type { Gateway, GatewayClass } from '../../api/gateway.ts';
import { gatewayController, gatewayRole, type GatewayRole } from '../gateway-role.ts';
import type { ObjectVerdict } from '../waypoint-binding.ts';
import type { CertificateScope } from './gateway-listeners-tls.ts';
import { no, viewListeners, yes, type ListenerView } from './gateway-listeners.ts';

export interface GatewayView {
  readonly namespace: string;
  readonly name: string;
  readonly generation: number | undefined;
  readonly role: Exclude<GatewayRole, 'foreign' | 'unknown'>;
  /** Under which statuses of its routes are told. */
  readonly controllerName: string;
  readonly listeners: readonly ListenerView[];
  /** Fields of the spec that nothing acts on, and what that means, in words. */
  readonly withoutEffect: readonly string[];
  /** It names a certificate for backends to know it by. */
  readonly namesClientCertificate: boolean;
}

/** Undefined: it is none of ours. */
export function viewGateway(
  gateway: Gateway,
  gatewayClass: GatewayClass | undefined,
  certificates: CertificateScope,
): GatewayView | undefined {
  const role = gatewayRole(gateway, gatewayClass);
  if (role === 'foreign' || role === 'unknown') return undefined;
  const { name = '', namespace = '', generation } = gateway.metadata;
  return {
    namespace,
    name,
    generation,
    role,
    controllerName: gatewayController(gateway, gatewayClass) ?? '',
    listeners: viewListeners(gateway, role, certificates),
    withoutEffect: withoutEffect(gateway),
    namesClientCertificate: gateway.spec.tls?.backend?.clientCertificateRef !== undefined,
  };
}

function withoutEffect({ spec }: Gateway): string[] {
  const { allowedListeners, defaultScope } = spec;
  const from = allowedListeners?.namespaces?.from;
  return [
    ...(from && from !== 'None' ? ['spec.allowedListeners: listeners of ListenerSets are not served'] : []),
    ...(defaultScope && defaultScope !== 'None' ? ['spec.defaultScope: routes name their Gateways'] : []),
  ];
}

/** What the status of a Gateway says that proxies and addresses have no part in. */
export interface GatewayVerdict {
  readonly generation: number | undefined;
  /** Accepted; ResolvedRefs, only False. */
  readonly conditions: Readonly<Record<string, ObjectVerdict>>;
  readonly listeners: readonly ListenerVerdict[];
}

export interface ListenerVerdict {
  readonly name: string;
  readonly attachedRoutes: number;
  readonly supportedKinds: readonly { readonly group: string; readonly kind: string }[];
  readonly conditions: Readonly<Record<string, ObjectVerdict>>;
}

export function gatewayVerdict(view: GatewayView, attachedRoutes: (listener: string) => number): GatewayVerdict {
  const { listeners, generation, withoutEffect: notes } = view;
  const accepted = acceptance(listeners);
  const message = notes.length > 0 ? `${accepted.message}; without effect: ${notes.join('; ')}` : accepted.message;
  return {
    generation,
    conditions: {
      Accepted: { ...accepted, message },
      ...(view.namesClientCertificate ? { ResolvedRefs: noClientCertificate } : {}),
    },
    listeners: listeners.map(({ name, supportedKinds, conditions }) => ({
      name,
      attachedRoutes: attachedRoutes(name),
      supportedKinds: supportedKinds.map((kind) => ({ group: 'gateway.networking.k8s.io', kind })),
      conditions,
    })),
  };
}

const noClientCertificate: ObjectVerdict = no(
  'InvalidClientCertificateRef',
  'spec.tls.backend.clientCertificateRef is not supported: backends are shown no certificate. A DestinationRule with credentialName has one shown',
);

function acceptance(listeners: readonly ListenerView[]): ObjectVerdict {
  const bad = listeners.filter(({ conditions }) => conditions['Accepted']?.status !== 'True').map(({ name }) => name);
  if (bad.length === 0) return yes('Accepted', 'the Gateway is valid');
  const message = `not valid: ${bad.length === 1 ? 'listener' : 'listeners'} ${bad.join(', ')}`;
  return bad.length < listeners.length ? yes('ListenersNotValid', message) : no('ListenersNotValid', message);
}
