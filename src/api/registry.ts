/** Every kind that the embedded API server serves, with all that is known of it. */
import * as columns from './columns/kinds.ts';
import { podColumns } from './columns/pod.ts';
import { copyWithoutNulls, type JsonObject } from './defaults/fill.ts';
import * as defaults from './defaults/kinds.ts';
import { defaultPod } from './defaults/pod.ts';
import { forbidden, type FieldError } from './field-error.ts';
import { viewOf, type FieldView } from './field-view.ts';
import type { Column, KindInfo } from './kind-info.ts';
import { kinds } from './kinds.ts';
import type { KindRef, KubeObject } from './meta.ts';
import { checkSchema, unknownFields } from './schema/check.ts';
import * as core from './schema/core.ts';
import * as istio from './schema/istio.ts';
import { podSchema } from './schema/pod.ts';
import type { JsonSchema } from './schema/schema.ts';
import { validateDeployment, validateReplicaSet } from './validation/apps.ts';
import {
  validateConfigMap,
  validateEndpointSlice,
  validateEvent,
  validateNode,
  validateSecret,
  validateService,
} from './validation/core.ts';
import { validateAuthorizationPolicy, validatePeerAuthentication } from './validation/istio.ts';
import { immutable, validateMeta, type NameRule } from './validation/meta.ts';
import { dns1035Label, dns1123Label, dns1123Subdomain } from './validation/names.ts';
import { validatePodSpec, validatePodUpdate } from './validation/pod.ts';

type Validate = (object: FieldView, old: FieldView | undefined) => FieldError[];

interface Traits<T extends KubeObject> {
  readonly schema: JsonSchema;
  readonly columns?: readonly Column<T>[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  /** Default true. */
  readonly hasStatus?: boolean;
  /** Further served versions. */
  readonly also?: readonly string[];
  readonly nameRule?: NameRule;
  readonly defaults?: (object: JsonObject) => void;
  readonly validate?: Validate;
  /** Unknown fields are errors, not warnings: a policy that is read in part is no policy. */
  readonly closed?: true;
}

const { plainColumns } = columns;
const networkingVersions = ['v1beta1', 'v1alpha3'];
const istioCategories = ['istio-io', 'networking-istio-io'];
const securityCategories = ['istio-io', 'security-istio-io'];
const gatewayCategories = ['gateway-api'];
const outline = istio.outlineSchema;

export const allKinds: readonly KindInfo[] = [
  define(kinds.Namespace, {
    schema: core.namespaceSchema,
    columns: columns.namespaceColumns,
    shortNames: ['ns'],
    nameRule: dns1123Label,
    defaults: defaults.defaultNamespace,
  }),
  define(kinds.Pod, {
    schema: podSchema,
    columns: podColumns,
    shortNames: ['po'],
    categories: ['all'],
    defaults: defaultPod,
    validate: (pod, old) => [
      ...validatePodSpec(pod.at('spec')),
      ...(old ? validatePodUpdate(pod.at('spec'), old.at('spec')) : []),
    ],
  }),
  define(kinds.Service, {
    schema: core.serviceSchema,
    columns: columns.serviceColumns,
    shortNames: ['svc'],
    categories: ['all'],
    nameRule: dns1035Label,
    defaults: defaults.defaultService,
    validate: validateService,
  }),
  define(kinds.ServiceAccount, {
    schema: core.serviceAccountSchema,
    columns: columns.serviceAccountColumns,
    shortNames: ['sa'],
    hasStatus: false,
  }),
  define(kinds.ConfigMap, {
    schema: core.configMapSchema,
    columns: columns.configMapColumns,
    shortNames: ['cm'],
    hasStatus: false,
    validate: validateConfigMap,
  }),
  define(kinds.Secret, {
    schema: core.secretSchema,
    columns: columns.secretColumns,
    hasStatus: false,
    defaults: defaults.defaultSecret,
    validate: validateSecret,
  }),
  define(kinds.Node, {
    schema: core.nodeSchema,
    columns: columns.nodeColumns,
    shortNames: ['no'],
    validate: validateNode,
  }),
  define(kinds.Event, {
    schema: core.eventSchema,
    columns: columns.eventColumns,
    shortNames: ['ev'],
    hasStatus: false,
    validate: validateEvent,
  }),
  define(kinds.Deployment, {
    schema: core.deploymentSchema,
    columns: columns.deploymentColumns,
    shortNames: ['deploy'],
    categories: ['all'],
    defaults: defaults.defaultDeployment,
    validate: validateDeployment,
  }),
  define(kinds.ReplicaSet, {
    schema: core.replicaSetSchema,
    columns: columns.replicaSetColumns,
    shortNames: ['rs'],
    categories: ['all'],
    defaults: defaults.defaultReplicaSet,
    validate: validateReplicaSet,
  }),
  define(kinds.EndpointSlice, {
    schema: core.endpointSliceSchema,
    columns: columns.endpointSliceColumns,
    hasStatus: false,
    defaults: defaults.defaultEndpointSlice,
    validate: validateEndpointSlice,
  }),
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
  define(kinds.TCPRoute, { schema: outline, categories: gatewayCategories }),
  define(kinds.TLSRoute, { schema: outline, categories: gatewayCategories, also: ['v1alpha3', 'v1alpha2'] }),
  define(kinds.UDPRoute, { schema: outline, categories: gatewayCategories }),
  define(kinds.BackendTLSPolicy, {
    schema: outline,
    shortNames: ['btlspolicy'],
    categories: gatewayCategories,
    also: ['v1alpha3'],
  }),
];

const byGroupKind: ReadonlyMap<string, KindInfo> = new Map(
  allKinds.map((info) => [`${info.group}/${info.kind}`, info]),
);

/** What is known of a kind, whatever version of it the reference names. */
export function kindInfo(kind: Pick<KindRef, 'group' | 'kind'>): KindInfo | undefined {
  return byGroupKind.get(`${kind.group}/${kind.kind}`);
}

/** All problems of an object at once: structure, metadata, then meaning. `object` has its defaults. */
export function validate(
  kind: Pick<KindRef, 'group' | 'kind'>,
  object: KubeObject,
  options: { readonly old?: KubeObject } = {},
): FieldError[] {
  const info = kindInfo(kind);
  if (!info) throw new Error(`Kind ${kind.group}/${kind.kind} is not registered`);
  return info.validate(object, options);
}

function define<T extends KubeObject>(kind: KindRef<T>, traits: Traits<T>): KindInfo {
  const { schema, nameRule = dns1123Subdomain } = traits;
  const info: KindInfo<T> = {
    ...kind,
    singular: kind.kind.toLowerCase(),
    listKind: `${kind.kind}List`,
    shortNames: traits.shortNames ?? [],
    categories: traits.categories ?? [],
    hasStatus: traits.hasStatus ?? true,
    versions: [kind.version, ...(traits.also ?? [])],
    schema,
    columns: traits.columns ?? plainColumns,
    defaults(object) {
      const copy = copyWithoutNulls(object);
      traits.defaults?.(copy as unknown as JsonObject);
      return copy;
    },
    validate(object, options = {}) {
      const view = viewOf(object);
      const old = options.old ? viewOf(options.old) : undefined;
      const errors = [...checkSchema(object, schema), ...validateMeta(view.at('metadata'), nameRule, kind.namespaced)];
      if (old) errors.push(...immutable(view.at('metadata').at('name'), old.at('metadata').at('name')));
      if (traits.closed) errors.push(...unknownFields(object, schema).map((path) => forbidden(path, 'unknown field')));
      errors.push(...(traits.validate?.(view, old) ?? []));
      return withoutRepeats(errors);
    },
  };
  // A list of all kinds cannot say which type goes with which entry.
  return info as unknown as KindInfo;
}

/** The schema and the rules of a kind may say the same thing of the same field. */
function withoutRepeats(errors: readonly FieldError[]): FieldError[] {
  const seen = new Set<string>();
  return errors.filter(({ path, reason }) => {
    const key = `${path} ${reason}`;
    if (reason === 'FieldValueRequired' || reason === 'FieldValueNotSupported') {
      if (seen.has(key)) return false;
      seen.add(key);
    }
    return true;
  });
}
