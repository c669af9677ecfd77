/** Rules of Istio's kinds and of our own that no schema can say, by kind. The admission webhook asks here. */
import { notSupported } from '../../field-error.ts';
import type { FieldView } from '../../field-view.ts';
import type { KindRef } from '../../meta.ts';
import { kinds } from '../../kinds.ts';
import type { Validation } from '../validation.ts';
import { validateProxyExtension } from '../ambit/proxy-extension.ts';
import { validateRateLimit } from '../ambit/rate-limit.ts';
import { validateAuthorizationPolicy } from './authorization-policy.ts';
import { validateDestinationRule } from './destination-rule.ts';
import { validateEnvoyFilter } from './envoy-filter.ts';
import { validateTrafficExtension, validateWasmPlugin } from './extension.ts';
import { validateGateway } from './gateway.ts';
import { validatePeerAuthentication } from './peer-authentication.ts';
import { validateProxyConfig } from './proxy-config.ts';
import { validateRequestAuthentication } from './request-authentication.ts';
import { validateServiceEntry } from './service-entry.ts';
import { validateSidecar } from './sidecar.ts';
import { validateTelemetry } from './telemetry.ts';
import { validateVirtualService } from './virtual-service.ts';
import { validateWorkloadEntry } from './workload-entry.ts';
import { validateWorkloadGroup } from './workload-group.ts';

type Validator = (object: FieldView) => Validation;
type GroupKind = Pick<KindRef, 'group' | 'kind'>;

const validators: readonly (readonly [GroupKind, Validator])[] = [
  [kinds.AuthorizationPolicy, validateAuthorizationPolicy],
  [kinds.PeerAuthentication, validatePeerAuthentication],
  [kinds.RequestAuthentication, validateRequestAuthentication],
  [kinds.VirtualService, validateVirtualService],
  [kinds.DestinationRule, validateDestinationRule],
  [kinds.IstioGateway, validateGateway],
  [kinds.ServiceEntry, validateServiceEntry],
  [kinds.Sidecar, validateSidecar],
  [kinds.WorkloadEntry, validateWorkloadEntry],
  [kinds.WorkloadGroup, validateWorkloadGroup],
  [kinds.EnvoyFilter, validateEnvoyFilter],
  [kinds.ProxyConfig, validateProxyConfig],
  [kinds.Telemetry, validateTelemetry],
  [kinds.WasmPlugin, validateWasmPlugin],
  [kinds.TrafficExtension, validateTrafficExtension],
  [kinds.RateLimit, validateRateLimit],
  [kinds.ProxyExtension, validateProxyExtension],
];

/** By `group/kind`. */
export const istioValidators: ReadonlyMap<string, Validator> = new Map(
  validators.map(([kind, validator]) => [keyOf(kind), validator]),
);

/** All that is wrong with the meaning of an object, whose structure a server has checked. Never throws, whatever the JSON. */
export function validateIstio(kind: GroupKind, object: FieldView): Validation {
  const validator = istioValidators.get(keyOf(kind));
  if (validator) return validator(object);
  // What nobody can judge is not let through.
  return { errors: [notSupported('kind', keyOf(kind), [...istioValidators.keys()])], warnings: [] };
}

function keyOf({ group, kind }: GroupKind): string {
  return `${group}/${kind}`;
}
