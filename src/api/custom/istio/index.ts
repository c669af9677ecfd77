/** All of Istio's kinds. */
import type { CustomKind } from '../custom-kind.ts';
import { authorizationPolicy } from './authorization-policy.ts';
import { destinationRule } from './destination-rule.ts';
import { envoyFilter } from './envoy-filter.ts';
import { istioGateway } from './gateway.ts';
import { peerAuthentication } from './peer-authentication.ts';
import { proxyConfig } from './proxy-config.ts';
import { requestAuthentication } from './request-authentication.ts';
import { serviceEntry } from './service-entry.ts';
import { sidecar } from './sidecar.ts';
import { telemetry } from './telemetry.ts';
import { trafficExtension } from './traffic-extension.ts';
import { virtualService } from './virtual-service.ts';
import { wasmPlugin } from './wasm-plugin.ts';
import { workloadEntry } from './workload-entry.ts';
import { workloadGroup } from './workload-group.ts';

export const istioKinds: readonly CustomKind[] = [
  authorizationPolicy,
  peerAuthentication,
  requestAuthentication,
  virtualService,
  destinationRule,
  istioGateway,
  serviceEntry,
  sidecar,
  workloadEntry,
  workloadGroup,
  envoyFilter,
  proxyConfig,
  telemetry,
  wasmPlugin,
  trafficExtension,
];
