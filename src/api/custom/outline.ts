/** Kinds of which only the outline is known, until each has its schema in this folder. */
import * as columns from '../columns/kinds.ts';
import { define } from '../define.ts';
import type { KindInfo } from '../kind-info.ts';
import { kinds } from '../kinds.ts';
import * as istio from '../schema/istio.ts';
import { validateAuthorizationPolicy, validatePeerAuthentication } from '../validation/istio.ts';

const networkingVersions = ['v1beta1', 'v1alpha3'];
const istioCategories = ['istio-io', 'networking-istio-io'];
const securityCategories = ['istio-io', 'security-istio-io'];
const gatewayCategories = ['gateway-api'];
const outline = istio.outlineSchema;

export const outlineKinds: readonly KindInfo[] = [
  define(kinds.AuthorizationPolicy, {
    schema: istio.authorizationPolicySchema,
    columns: columns.authorizationPolicyColumns,
    shortNames: ['ap'],
    categories: securityCategories,
    also: ['v1beta1'],
    validate: validateAuthorizationPolicy,
    closed: true,
  }),
  define(kinds.PeerAuthentication, {
    schema: istio.peerAuthenticationSchema,
    columns: columns.peerAuthenticationColumns,
    shortNames: ['pa'],
    categories: securityCategories,
    also: ['v1beta1'],
    validate: validatePeerAuthentication,
    closed: true,
  }),
  define(kinds.RequestAuthentication, {
    schema: outline,
    shortNames: ['ra'],
    categories: securityCategories,
    also: ['v1beta1'],
  }),
  define(kinds.VirtualService, {
    schema: outline,
    columns: columns.virtualServiceColumns,
    shortNames: ['vs'],
    categories: istioCategories,
    also: networkingVersions,
  }),
  define(kinds.DestinationRule, {
    schema: outline,
    columns: columns.destinationRuleColumns,
    shortNames: ['dr'],
    categories: istioCategories,
    also: networkingVersions,
  }),
  define(kinds.IstioGateway, {
    schema: outline,
    shortNames: ['gw'],
    categories: istioCategories,
    also: networkingVersions,
  }),
  define(kinds.ServiceEntry, {
    schema: outline,
    columns: columns.serviceEntryColumns,
    shortNames: ['se'],
    categories: istioCategories,
    also: networkingVersions,
  }),
  define(kinds.Sidecar, { schema: outline, categories: istioCategories, also: networkingVersions }),
  define(kinds.WorkloadEntry, {
    schema: outline,
    columns: columns.workloadEntryColumns,
    shortNames: ['we'],
    categories: istioCategories,
    also: networkingVersions,
  }),
  define(kinds.WorkloadGroup, {
    schema: outline,
    shortNames: ['wg'],
    categories: istioCategories,
    also: networkingVersions,
  }),
  define(kinds.EnvoyFilter, { schema: outline, categories: istioCategories }),
  define(kinds.ProxyConfig, { schema: outline, categories: istioCategories }),
  define(kinds.Telemetry, {
    schema: outline,
    shortNames: ['telemetry'],
    categories: ['istio-io', 'telemetry-istio-io'],
    also: ['v1alpha1'],
  }),
  define(kinds.WasmPlugin, { schema: outline, categories: ['istio-io', 'extensions-istio-io'] }),
  define(kinds.TrafficExtension, { schema: outline, categories: ['istio-io', 'extensions-istio-io'] }),
  define(kinds.GatewayClass, {
    schema: outline,
    columns: columns.gatewayClassColumns,
    shortNames: ['gc'],
    categories: gatewayCategories,
    also: ['v1beta1'],
  }),
  define(kinds.Gateway, {
    schema: outline,
    columns: columns.gatewayColumns,
    shortNames: ['gtw'],
    categories: gatewayCategories,
    also: ['v1beta1'],
  }),
  define(kinds.HTTPRoute, {
    schema: outline,
    columns: columns.routeColumns,
    categories: gatewayCategories,
    also: ['v1beta1'],
  }),
  define(kinds.GRPCRoute, {
    schema: outline,
    columns: columns.routeColumns,
    categories: gatewayCategories,
    also: ['v1alpha2'],
  }),
  define(kinds.ReferenceGrant, {
    schema: outline,
    shortNames: ['refgrant'],
    categories: gatewayCategories,
    hasStatus: false,
    also: ['v1', 'v1alpha2'],
  }),
  define(kinds.TCPRoute, { schema: outline, categories: gatewayCategories, also: ['v1alpha2'] }),
  define(kinds.TLSRoute, { schema: outline, categories: gatewayCategories, also: ['v1alpha3', 'v1alpha2'] }),
  define(kinds.UDPRoute, { schema: outline, categories: gatewayCategories, also: ['v1alpha2'] }),
  define(kinds.BackendTLSPolicy, {
    schema: outline,
    shortNames: ['btlspolicy'],
    categories: gatewayCategories,
    also: ['v1alpha3'],
  }),
  define(kinds.ListenerSet, { schema: outline, shortNames: ['lset'], categories: gatewayCategories }),
  define(kinds.XBackendTrafficPolicy, {
    schema: outline,
    shortNames: ['xbtrafficpolicy'],
    categories: gatewayCategories,
  }),
  define(kinds.XBackend, { schema: outline, shortNames: ['xbackend'], categories: gatewayCategories }),
  define(kinds.XMesh, { schema: outline, shortNames: ['mesh'], categories: gatewayCategories }),
];
