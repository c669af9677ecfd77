/** `ambit.proxy.Resource` and its domain form, both directions. What we cannot read exactly is refused, with the path of the fault. */
import { formatCidr, type Cidr } from '../lib/ip.ts';
import type { ProxyResource, ProxyResourceKind, ProxySettings, TlsSecret } from '../api/l7/index.ts';
import type { NetworkId } from '../api/names.ts';
import { ResourceSchema } from '../gen/proxy_pb.ts';
import { wireError } from './errors.ts';
import { parseMessage, serializeMessage } from './message.ts';
import { backend } from './proxy-resource-backend.ts';
import {
  type Decoder,
  duration,
  Fault,
  flag,
  integer,
  list,
  name,
  object,
  oneOf,
  optional,
  percent,
  text,
  union,
} from './proxy-resource-fields.ts';
import { destinationService, listener } from './proxy-resource-listener.ts';
import { authentication, authorization, extension, provider, rateLimit, telemetry } from './proxy-resource-policies.ts';
import { retryPolicy, routeTable, routeTableText } from './proxy-resource-routes.ts';

export const proxyResourceTypeUrl: string = `type.googleapis.com/${ResourceSchema.typeName}`;

type AccessLog = ProxySettings['accessLog'];

const logTemplate = object<Exclude<AccessLog, { kind: 'off' }>>({ kind: oneOf('text', 'json'), template: text });

const settings = object<ProxySettings>({
  kind: oneOf('settings'),
  name: oneOf('default'),
  role: oneOf('waypoint', 'gateway', 'sidecar'),
  gateway: name,
  trustDomain: name,
  trustDomainAliases: list(name),
  clusterDomain: name,
  network: text as Decoder<NetworkId>,
  pathNormalization: oneOf('none', 'base', 'merge-slashes', 'decode-and-merge-slashes'),
  numTrustedProxies: integer(),
  defaultRetry: optional(retryPolicy),
  accessLog: union<AccessLog, 'kind'>('kind', {
    off: object<Extract<AccessLog, { kind: 'off' }>>({ kind: oneOf('off') }),
    text: logTemplate,
    json: logTemplate,
  }),
  tracingSamplingPercent: percent,
  protocolDetectionTimeoutMs: duration,
  drainMs: duration,
});

const secret = object<TlsSecret>({
  kind: oneOf('secret'),
  name,
  certificateChain: optional(text),
  privateKey: optional(text),
  caCertificates: optional(text),
  revocations: optional(text),
  keepsLast: optional(flag),
});

type PlainKind = Exclude<ProxyResourceKind, 'routes'>;

const decoders: { readonly [Kind in PlainKind]: Decoder<Extract<ProxyResource, { readonly kind: Kind }>> } = {
  settings,
  listener,
  service: destinationService,
  backend,
  authorization,
  authentication,
  'rate-limit': rateLimit,
  telemetry,
  extension,
  provider,
  secret,
};

const decodersByKind = new Map<string, Decoder<ProxyResource>>(Object.entries(decoders));

/** The name on the wire, `<kind>/<name>`. */
export function proxyResourceName({ kind, name: own }: Pick<ProxyResource, 'kind' | 'name'>): string {
  return `${kind}/${own}`;
}

/** The same value always gives the same bytes, as long as its fields come in the same order. */
export function encodeProxyResource(resource: ProxyResource): Uint8Array {
  const json = resource.kind === 'routes' ? routeTableText(resource) : JSON.stringify(resource, blocksAsText);
  return serializeMessage(ResourceSchema, { kind: resource.kind, json });
}

/**
 * Throws `wire.*`, naming the field. `resourceName` is the one on the wire; the resource must agree with it. With `before`, what the name
 * stood for until now, the parts of a route table that did not change are the same objects.
 */
export function decodeProxyResource(resourceName: string, bytes: Uint8Array, before?: ProxyResource): ProxyResource {
  const { kind, json } = parseMessage(ResourceSchema, bytes);
  const table = before?.kind === 'routes' ? before : undefined;
  const decode = kind === 'routes' ? routeTable(table) : decodersByKind.get(kind);
  if (!decode) {
    throw wireError(
      'unknown-enum',
      'kind',
      `the kind ${JSON.stringify(kind)} is not known to this version of the proxy`,
    );
  }
  const resource = decodeJson(decode, json);
  const ownName = proxyResourceName(resource);
  if (ownName !== resourceName) {
    throw wireError('invalid-name', 'name', `the resource ${resourceName} says that it is ${ownName}`);
  }
  return resource;
}

function decodeJson(decode: Decoder<ProxyResource>, json: string): ProxyResource {
  try {
    return decode(JSON.parse(json));
  } catch (error) {
    if (error instanceof Fault) throw wireError(error.reason, error.path || 'json', error.message);
    // The error of JSON.parse quotes the text, which may be a key.
    throw wireError('malformed', 'json', `its ${json.length} characters are not JSON`);
  }
}

function blocksAsText(_key: string, value: unknown): unknown {
  return isCidr(value) ? formatCidr(value) : value;
}

function isCidr(value: unknown): value is Cidr {
  return typeof value === 'object' && value !== null && 'address' in value && value.address instanceof Uint8Array;
}
