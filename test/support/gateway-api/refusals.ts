/** Objects of the Gateway API that break one rule each, with a part of the message that says so. */
import type { KubeObject } from '../../../src/api/index.ts';
import { completeObject } from './complete.ts';

export interface Refusal {
  /** What is refused, to be read after "refuses". */
  readonly what: string;
  readonly object: KubeObject;
  /** What is stored under the name, for rules on changes. */
  readonly old?: KubeObject;
  readonly message: string;
}

type Row = readonly [what: string, spec: object, message: string];

const service = { name: 'reviews', port: 9080 };
const parent = { name: 'front' };
const cert = { certificateRefs: [{ name: 'front-cert' }] };
const oneToMany = (count: number, item: (index: number) => object): object[] =>
  Array.from({ length: count }, (_, index) => item(index));

const parentRows: readonly Row[] = [
  [
    'a parent named twice, once as a whole',
    { parentRefs: [parent, { ...parent, sectionName: 'http' }] },
    'sectionName or port must be specified when parentRefs includes 2 or more references to the same parent',
  ],
  [
    'a parent named twice, once by port and once by section',
    {
      parentRefs: [
        { ...parent, port: 80 },
        { ...parent, sectionName: 'http' },
      ],
    },
    'sectionName or port must be specified when parentRefs includes 2 or more references to the same parent',
  ],
  [
    'the same section of a parent twice',
    { parentRefs: oneToMany(2, () => ({ ...parent, sectionName: 'http' })) },
    'sectionName or port must be unique when parentRefs includes 2 or more references to the same parent',
  ],
  ['a parent without a name', { parentRefs: [{ sectionName: 'http' }] }, 'name: Required value'],
  ['33 parents', { parentRefs: oneToMany(33, (index) => ({ name: `front-${index}` })) }, 'must have at most 32 items'],
  ['port 0 of a parent', { parentRefs: [{ ...parent, port: 0 }] }, 'port'],
];

const portOfService: Row = [
  'a Service without a port',
  ruleWith({ backendRefs: [{ name: 'reviews' }] }),
  'Must have port for Service reference',
];

const sessionRows: readonly Row[] = [
  [
    'a lasting cookie without an end',
    ruleWith({ sessionPersistence: { cookieConfig: { lifetimeType: 'Permanent' } } }),
    'AbsoluteTimeout must be specified when cookie lifetimeType is Permanent',
  ],
  [
    'settings of a cookie for a header',
    ruleWith({ sessionPersistence: { type: 'Header', cookieConfig: { lifetimeType: 'Session' } } }),
    'cookieConfig can only be set with type Cookie',
  ],
];

const sameRuleName: Row = [
  'two rules of one name',
  { rules: oneToMany(2, () => ({ name: 'same', backendRefs: [service] })) },
  'Rule name must be unique within the route',
];

const mirrorRows: readonly Row[] = [
  [
    'a mirror by both percent and fraction',
    mirrorWith({ percent: 5, fraction: { numerator: 1 } }),
    'Only one of percent or fraction may be specified in HTTPRequestMirrorFilter',
  ],
  [
    'a mirror of more than all',
    mirrorWith({ fraction: { numerator: 3, denominator: 2 } }),
    'numerator must be less than or equal to denominator',
  ],
  [
    'a mirror of more than all of a hundred',
    mirrorWith({ fraction: { numerator: 101 } }),
    'numerator must be less than',
  ],
];

const filterFields: Readonly<Record<string, readonly [field: string, value: object]>> = {
  RequestHeaderModifier: ['requestHeaderModifier', {}],
  ResponseHeaderModifier: ['responseHeaderModifier', {}],
  RequestMirror: ['requestMirror', { backendRef: service }],
  RequestRedirect: ['requestRedirect', {}],
  URLRewrite: ['urlRewrite', {}],
  ExtensionRef: ['extensionRef', { group: 'example.com', kind: 'Filter', name: 'x' }],
  CORS: ['cors', {}],
  ExternalAuth: ['externalAuth', { protocol: 'GRPC', backendRef: service, grpc: {} }],
};

const httpRows: readonly Row[] = [
  ...parentRows,
  portOfService,
  ...sessionRows,
  sameRuleName,
  ...mirrorRows,
  ...filterRows(Object.keys(filterFields)),
  ...['CORS', 'RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestRedirect', 'URLRewrite'].map(twice),
  [
    'a redirect beside a rewrite',
    filterWith({ type: 'RequestRedirect', requestRedirect: {} }, { type: 'URLRewrite', urlRewrite: {} }),
    'May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both',
  ],
  [
    'a redirect beside backends',
    ruleWith({ filters: [{ type: 'RequestRedirect', requestRedirect: {} }], backendRefs: [service] }),
    'RequestRedirect filter must not be used together with backendRefs',
  ],
  ...prefixRows('requestRedirect', 'RequestRedirect', 'Within backendRefs, when'),
  ...prefixRows('urlRewrite', 'URLRewrite', 'Within backendRefs, When'),
  ...pathModifierRows('ReplaceFullPath', 'replaceFullPath', 'ReplacePrefixMatch'),
  ...pathModifierRows('ReplacePrefixMatch', 'replacePrefixMatch', 'ReplaceFullPath'),
  ...['Exact', 'PathPrefix'].flatMap(pathRows),
  ['a way to match that there is not', pathWith({ type: 'Prefix', value: '/' }), 'Unsupported value: "Prefix"'],
  [
    '129 matches in all',
    {
      rules: [64, 64, 1].map((count) => ({ matches: oneToMany(count, (index) => ({ path: { value: `/${index}` } })) })),
    },
    'the total number of matches across all rules in a route must be less than 128',
  ],
  ['17 rules', { rules: oneToMany(17, () => ({})) }, 'must have at most 16 items'],
  ['no rules', { rules: [] }, 'at least 1 items'],
  [
    'a header matched twice',
    ruleWith({ matches: [{ headers: oneToMany(2, () => ({ name: 'x-a', value: '1' })) }] }),
    'Duplicate value',
  ],
  ['a method that HTTP has not', ruleWith({ matches: [{ method: 'BREW' }] }), 'Unsupported value: "BREW"'],
  [
    'a wait for an attempt that is longer than the whole',
    ruleWith({ timeouts: { request: '1s', backendRequest: '1001ms' } }),
    'backendRequest timeout cannot be longer than request timeout',
  ],
  ['a duration in days', ruleWith({ timeouts: { request: '1d' } }), 'timeouts.request'],
  ['a retry after success', ruleWith({ retry: { codes: [200] } }), 'retry.codes[0]'],
  ['a weight below zero', ruleWith({ backendRefs: [{ ...service, weight: -1 }] }), 'weight'],
  [
    'all origins beside one',
    corsWith({ allowOrigins: ['*', 'https://example.com'] }),
    "AllowOrigins cannot contain '*' alongside other origins",
  ],
  [
    'all methods beside one',
    corsWith({ allowMethods: ['*', 'GET'] }),
    "AllowMethods cannot contain '*' alongside other methods",
  ],
  [
    'all headers beside one',
    corsWith({ allowHeaders: ['*', 'x-a'] }),
    "AllowHeaders cannot contain '*' alongside other methods",
  ],
  ['an origin that is a path', corsWith({ allowOrigins: ['/shop'] }), 'allowOrigins[0]'],
  [
    'an origin given twice',
    corsWith({ allowOrigins: ['https://a.com', 'https://a.com'] }),
    'Duplicate value: "https://a.com"',
  ],
  [
    'authorization over gRPC without its settings',
    authWith({ protocol: 'GRPC' }),
    "grpc must be specified when protocol is set to 'GRPC'",
  ],
  [
    'authorization over HTTP without its settings',
    authWith({ protocol: 'HTTP' }),
    "http must be specified when protocol is set to 'HTTP'",
  ],
  [
    'settings of gRPC for authorization over HTTP',
    authWith({ protocol: 'HTTP', http: {}, grpc: {} }),
    "protocol must be 'GRPC' when grpc is set",
  ],
  [
    'settings of HTTP for authorization over gRPC',
    authWith({ protocol: 'GRPC', http: {}, grpc: {} }),
    "protocol must be 'HTTP' when http is set",
  ],
  [
    'a server of authorization without a port',
    filterWith({ type: 'ExternalAuth', externalAuth: { protocol: 'GRPC', backendRef: { name: 'authz' }, grpc: {} } }),
    'Must have port for Service reference',
  ],
  ['a host name with a scheme', { hostnames: ['http://a'] }, 'spec.hostnames[0]'],
  [
    'a status code that is no redirect',
    filterWith({ type: 'RequestRedirect', requestRedirect: { statusCode: 200 } }),
    'Unsupported value: 200',
  ],
];

const grpcRows: readonly Row[] = [
  ...parentRows,
  portOfService,
  ...sessionRows,
  sameRuleName,
  ...mirrorRows,
  ...filterRows(['RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestMirror', 'ExtensionRef']),
  ...['RequestHeaderModifier', 'ResponseHeaderModifier'].map(twice),
  ['a filter of HTTP', filterWith({ type: 'URLRewrite' }), 'Unsupported value: "URLRewrite"'],
  [
    'a match of neither service nor method',
    ruleWith({ matches: [{ method: {} }] }),
    "One or both of 'service' or 'method' must be specified",
  ],
  [
    'a service that is a path',
    ruleWith({ matches: [{ method: { service: 'foo/Greeter' } }] }),
    'service must only contain valid characters',
  ],
  [
    'a method that is a path',
    ruleWith({ matches: [{ method: { method: '/Hello' } }] }),
    'method must only contain valid characters',
  ],
  [
    '129 matches in all',
    { rules: [64, 64, 1].map((count) => ({ matches: oneToMany(count, () => ({ method: { method: 'A' } })) })) },
    'the total number of matches across all rules in a route must be less than 128',
  ],
];

const listenerRows: readonly Row[] = [
  [
    'TLS at a listener for HTTP',
    { listeners: [{ ...http(), tls: cert }] },
    "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']",
  ],
  [
    'HTTPS that is passed on',
    { listeners: [{ name: 'a', port: 443, protocol: 'HTTPS', tls: { mode: 'Passthrough' } }] },
    'tls mode must be Terminate for protocol HTTPS',
  ],
  [
    'a listener for TLS that does not say what it does',
    { listeners: [{ name: 'a', port: 443, protocol: 'TLS' }] },
    'tls mode must be set for protocol TLS',
  ],
  [
    'a host name for TCP',
    { listeners: [{ name: 'a', port: 9000, protocol: 'TCP', hostname: 'a.example.com' }] },
    "hostname must not be specified for protocols ['TCP', 'UDP']",
  ],
  [
    'two listeners of one name',
    { listeners: [http(), { ...http(), port: 81 }] },
    'Listener name must be unique within the Gateway',
  ],
  [
    'two listeners for the same',
    { listeners: [http(), { ...http(), name: 'b' }] },
    'Combination of port, protocol and hostname must be unique for each listener',
  ],
  [
    'two listeners for the same host name',
    {
      listeners: [
        { ...http(), hostname: 'a.com' },
        { ...http(), name: 'b', hostname: 'a.com' },
      ],
    },
    'Combination of port, protocol and hostname must be unique for each listener',
  ],
  [
    'TLS that ends here without a certificate',
    { listeners: [{ name: 'a', port: 443, protocol: 'HTTPS', tls: { mode: 'Terminate' } }] },
    'certificateRefs or options must be specified when mode is Terminate',
  ],
  ['a protocol of two words', { listeners: [{ ...http(), protocol: 'HTTP 2' }] }, 'protocol'],
  ['port 65536', { listeners: [{ ...http(), port: 65_536 }] }, 'port'],
  ['no listeners', { listeners: [] }, 'at least 1 items'],
];

const gatewayRows: readonly Row[] = [
  ...listenerRows,
  ['an address twice', addresses('IPAddress', '192.0.2.1', '192.0.2.1'), 'IPAddress values must be unique'],
  ['a host name as an address twice', addresses('Hostname', 'a.com', 'a.com'), 'Hostname values must be unique'],
  [
    'an address that is no host name',
    addresses('Hostname', 'a_b'),
    'Hostname value must be empty or contain only valid characters',
  ],
  ['an address that is no IP address', addresses('IPAddress', '1.2.3'), 'must validate one and only one schema'],
  ['a label key that is none', { infrastructure: { labels: { 'a b': 'c' } } }, 'Label keys must be in the form of'],
  [
    'a label key of a very long domain',
    { infrastructure: { labels: { [`${'a'.repeat(253)}/b`]: 'c' } } },
    "If specified, the label key's prefix must be a DNS subdomain not longer than 253 characters in total.",
  ],
  [
    'an annotation key that is none',
    { infrastructure: { annotations: { '-': 'c' } } },
    'Annotation keys must be in the form of',
  ],
  [
    'an annotation key of a very long domain',
    { infrastructure: { annotations: { [`${'a'.repeat(253)}/b`]: 'c' } } },
    "If specified, the annotation key's prefix must be a DNS subdomain not longer than 253 characters in total.",
  ],
  [
    '9 labels',
    { infrastructure: { labels: Object.fromEntries(oneToMany(9, (i) => [`k${i}`, '']) as [string, string][]) } },
    'must have at most 8 items',
  ],
  [
    'TLS of one port twice',
    {
      tls: {
        frontend: { default: {}, perPort: oneToMany(2, () => ({ port: 443, tls: {} })) },
      },
    },
    'Port for TLS configuration must be unique within the Gateway',
  ],
  ['TLS towards clients without a default', { tls: { frontend: {} } }, 'default: Required value'],
  ['no class', { gatewayClassName: '' }, 'gatewayClassName'],
];

const tlsRouteRows: readonly Row[] = [
  ...parentRows,
  portOfService,
  ['a server name that is an IP address', { hostnames: ['192.0.2.1'] }, 'Hostnames cannot contain an IP'],
  ['a server name with a scheme', { hostnames: ['https://a'] }, 'Hostnames must be valid based on RFC-1123'],
  ['a wildcard inside of a server name', { hostnames: ['a.*.com'] }, 'Wildcards on hostnames must be the first label'],
  ['no server name', { hostnames: [] }, 'at least 1 items'],
  ['two rules', { rules: oneToMany(2, () => ({ backendRefs: [service] })) }, 'must have at most 1 item'],
];

const l4Rows: readonly Row[] = [
  ...parentRows,
  portOfService,
  ['two rules', { rules: oneToMany(2, () => ({ backendRefs: [service] })) }, 'must have at most 1 item'],
  ['a rule without backends', { rules: [{}] }, 'backendRefs: Required value'],
];

const validationRows: readonly (readonly [what: string, validation: object, message: string])[] = [
  [
    'authorities both given and named',
    { caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'a' }], wellKnownCACertificates: 'System' },
    'must not contain both CACertificateRefs and WellKnownCACertificates',
  ],
  ['no authorities', {}, 'must specify either CACertificateRefs or WellKnownCACertificates'],
  [
    'an empty list of authorities',
    { caCertificateRefs: [] },
    'must specify either CACertificateRefs or WellKnownCACertificates',
  ],
  ['authorities of an unknown name', { wellKnownCACertificates: 'Mine' }, 'wellKnownCACertificates'],
  [
    'a host name in words only',
    altName({ type: 'Hostname' }),
    'SubjectAltName element must contain Hostname, if Type is set to Hostname',
  ],
  [
    'a host name that is called a URI',
    altName({ type: 'URI', hostname: 'a.com', uri: 'spiffe://a/b' }),
    'SubjectAltName element must not contain Hostname, if Type is not set to Hostname',
  ],
  ['a URI in words only', altName({ type: 'URI' }), 'SubjectAltName element must contain URI, if Type is set to URI'],
  [
    'a URI that is called a host name',
    altName({ type: 'Hostname', hostname: 'a.com', uri: 'spiffe://a/b' }),
    'SubjectAltName element must not contain URI, if Type is not set to URI',
  ],
  ['a host name with a wildcard', { wellKnownCACertificates: 'System', hostname: '*.a.com' }, 'hostname'],
];

const backendTlsRows: readonly Row[] = [
  [
    'a target named twice, once as a whole',
    { targetRefs: [target(), target('https')] },
    'sectionName must be specified when targetRefs includes 2 or more references to the same target',
  ],
  [
    'a target twice',
    { targetRefs: [target(), target()] },
    'sectionName must be unique when targetRefs includes 2 or more references to the same target',
  ],
  [
    'a section of a target twice',
    { targetRefs: [target('https'), target('https')] },
    'sectionName must be unique when targetRefs includes 2 or more references to the same target',
  ],
  ['no targets', { targetRefs: [] }, 'at least 1 items'],
  ...validationRows.map(([what, validation, message]): Row => [
    what,
    { validation: { hostname: 'a.com', ...validation } },
    message,
  ]),
];

const trafficRows: readonly Row[] = [
  [
    'a budget over two hours',
    { retryConstraint: { budget: { interval: '2h' } } },
    'interval cannot be greater than one hour or less than one second',
  ],
  [
    'a budget over a millisecond',
    { retryConstraint: { budget: { interval: '1ms' } } },
    'interval cannot be greater than one hour or less than one second',
  ],
  [
    'retries in two hours',
    { retryConstraint: { minRetryRate: { count: 1, interval: '2h' } } },
    'interval cannot be greater than one hour',
  ],
  [
    'retries in no time',
    { retryConstraint: { minRetryRate: { count: 1, interval: '0s' } } },
    'interval cannot be greater than one hour',
  ],
  ['101 percent', { retryConstraint: { budget: { percent: 101 } } }, 'percent'],
  ['a target twice', { targetRefs: [target(), target()] }, 'Duplicate value'],
  [
    'a lasting cookie without an end',
    { sessionPersistence: { cookieConfig: { lifetimeType: 'Permanent' } } },
    'AbsoluteTimeout must be specified when cookie lifetimeType is Permanent',
  ],
  [
    'settings of a cookie for a header',
    { sessionPersistence: { type: 'Header', cookieConfig: {} } },
    'cookieConfig can only be set with type Cookie',
  ],
];

const backendRows: readonly Row[] = [
  [
    'a backend without its host name',
    { externalHostname: undefined },
    'externalHostname must be set when type is ExternalHostname',
  ],
  [
    'a backend of the cluster',
    { externalHostname: { hostname: 'reviews.shop.svc.cluster.local' } },
    'hostname must not be an IP address or end with .cluster.local',
  ],
  ['a name of a port in capitals', { port: { name: 'HTTPS', port: 443 } }, 'Name must be a valid DNS label'],
  [
    'a certificate that is not asked for',
    { tls: { mode: 'ServerOnly', clientCertificateRef: { name: 'a' } } },
    'clientCertificateRef must be set if and only if mode is ClientAndServer',
  ],
  [
    'a certificate that is not given',
    { tls: { mode: 'ClientAndServer' } },
    'clientCertificateRef must be set if and only if mode is ClientAndServer',
  ],
  ...validationRows.map(([what, validation, message]): Row => [
    what,
    { tls: { mode: 'ServerOnly', validation: { hostname: 'a.com', ...validation } } },
    message,
  ]),
];

const grantRows: readonly Row[] = [
  ['a grant for nobody', { from: [] }, 'at least 1 items'],
  ['a grant of nothing', { to: [] }, 'at least 1 items'],
  ['a grant for objects of no namespace', { from: [{ group: '', kind: 'Service' }] }, 'namespace: Required value'],
];

const controllerRows: readonly Row[] = [
  ['a controller without a path', { controllerName: 'example' }, 'controllerName'],
  ['a description of 65 characters', { description: 'x'.repeat(65) }, 'Too long: may not be more than 64'],
  ['parameters without a kind', { parametersRef: { group: '', name: 'x' } }, 'kind: Required value'],
];

/** The smallest specs that the rows are laid over. */
const smallest: Readonly<Record<string, readonly [spec: object, rows: readonly Row[]]>> = {
  GatewayClass: [{ controllerName: 'example.com/controller' }, controllerRows],
  Gateway: [{ gatewayClassName: 'edge', listeners: [http()] }, gatewayRows],
  ListenerSet: [{ parentRef: parent, listeners: [http()] }, listenerRows],
  HTTPRoute: [{}, httpRows],
  GRPCRoute: [{}, grpcRows],
  TLSRoute: [{ hostnames: ['a.com'], rules: [{ backendRefs: [service] }] }, tlsRouteRows],
  TCPRoute: [{ rules: [{ backendRefs: [service] }] }, l4Rows],
  UDPRoute: [{ rules: [{ backendRefs: [service] }] }, l4Rows],
  ReferenceGrant: [
    { from: [{ group: '', kind: 'Service', namespace: 'a' }], to: [{ group: '', kind: 'Secret' }] },
    grantRows,
  ],
  BackendTLSPolicy: [
    { targetRefs: [target()], validation: { hostname: 'a.com', wellKnownCACertificates: 'System' } },
    backendTlsRows,
  ],
  XBackendTrafficPolicy: [{ targetRefs: [target()] }, trafficRows],
  XBackend: [{ type: 'ExternalHostname', externalHostname: { hostname: 'a.com' }, port: { port: 443 } }, backendRows],
  XMesh: [{ controllerName: 'example.com/controller' }, controllerRows],
};

/** The smallest object of each kind; valid. */
export const smallestObjects: readonly KubeObject[] = Object.entries(smallest).map(([kind, [spec]]) =>
  withSpec(kind, spec),
);

export const refusals: readonly Refusal[] = [
  ...Object.entries(smallest).flatMap(([kind, [spec, rows]]) =>
    rows.map(([what, part, message]) => ({
      what: `${kind}: ${what}`,
      object: withSpec(kind, { ...spec, ...part }),
      message,
    })),
  ),
  ...['GatewayClass', 'XMesh'].map((kind) => ({
    what: `${kind}: another controller`,
    object: withSpec(kind, { controllerName: 'example.com/other' }),
    old: withSpec(kind, { controllerName: 'example.com/controller' }),
    message: 'Value is immutable',
  })),
  {
    what: 'Gateway: a status whose address is no host name',
    object: {
      ...withSpec('Gateway', { gatewayClassName: 'edge', listeners: [http()] }),
      status: addresses('Hostname', 'a_b'),
    } as KubeObject,
    message: 'Hostname value must only contain valid characters',
  },
  {
    what: 'TLSRoute v1alpha2: two rules of one name',
    object: { ...withSpec('TLSRoute', sameRuleName[1]), apiVersion: 'gateway.networking.k8s.io/v1alpha2' },
    message: sameRuleName[2],
  },
  ...['TCPRoute', 'UDPRoute'].map((kind) => ({
    what: `${kind} v1alpha2: two rules of one name`,
    object: { ...withSpec(kind, sameRuleName[1]), apiVersion: 'gateway.networking.k8s.io/v1alpha2' },
    message: sameRuleName[2],
  })),
];

function withSpec(kind: string, spec: object): KubeObject {
  const { apiVersion = '', metadata } = completeObject(kind);
  const object = { apiVersion, kind, metadata, spec };
  // Without the fields that are undefined.
  return JSON.parse(JSON.stringify(object)) as KubeObject;
}

function ruleWith(rule: object): object {
  return { rules: [rule] };
}

function filterWith(...filters: readonly object[]): object {
  return ruleWith({ filters });
}

function mirrorWith(part: object): object {
  return filterWith({ type: 'RequestMirror', requestMirror: { backendRef: service, ...part } });
}

function corsWith(cors: object): object {
  return filterWith({ type: 'CORS', cors });
}

function authWith(part: object): object {
  return filterWith({ type: 'ExternalAuth', externalAuth: { backendRef: service, ...part } });
}

function pathWith(path: object): object {
  return ruleWith({ matches: [{ path }] });
}

function http(): { name: string; port: number; protocol: string } {
  return { name: 'http', port: 80, protocol: 'HTTP' };
}

function target(sectionName?: string): object {
  return { group: '', kind: 'Service', name: 'reviews', ...(sectionName !== undefined && { sectionName }) };
}

function altName(name: object): object {
  return { wellKnownCACertificates: 'System', subjectAltNames: [name] };
}

function addresses(type: string, ...values: readonly string[]): object {
  return { addresses: values.map((value) => ({ type, value })) };
}

function twice(type: string): Row {
  const [field, value] = filterFields[type] ?? [type, {}];
  const filter = { type, [field]: value };
  return [`${type} twice`, filterWith(filter, filter), `${type} filter cannot be repeated`];
}

function filterRows(types: readonly string[]): Row[] {
  return types.flatMap((type): Row[] => {
    const [field, value] = filterFields[type] ?? [type, {}];
    const other = types.find((candidate) => candidate !== type) ?? type;
    const [otherField, otherValue] = filterFields[other] ?? [other, {}];
    return [
      [`${type} without its field`, filterWith({ type }), `filter.${field} must be specified for ${type} filter.type`],
      [
        `the field of ${type} at another filter`,
        filterWith({ type: other, [otherField]: otherValue, [field]: value }),
        `filter.${field} must be nil if the filter.type is not ${type}`,
      ],
    ];
  });
}

/** A prefix is replaced where no prefix, or more than one, was matched. */
function prefixRows(field: string, type: string, within: string): Row[] {
  const filter = { type, [field]: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/' } } };
  const message = `using ${type} filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified`;
  const exact = { path: { type: 'Exact', value: '/a' } };
  return [
    [`a ${type} of the prefix of an exact path`, ruleWith({ matches: [exact], filters: [filter] }), `When ${message}`],
    [`a ${type} of two prefixes`, ruleWith({ matches: [{}, {}], filters: [filter] }), `When ${message}`],
    [
      `a ${type} of the prefix of an exact path, at a backend`,
      ruleWith({ matches: [exact], backendRefs: [{ ...service, filters: [filter] }] }),
      `${within} ${message}`,
    ],
  ];
}

function pathModifierRows(type: string, field: string, other: string): Row[] {
  const rewrite = (path: object): object => filterWith({ type: 'URLRewrite', urlRewrite: { path } });
  return [
    [`${type} without its path`, rewrite({ type }), `${field} must be specified when type is set to '${type}'`],
    [
      `the path of ${type} at ${other}`,
      rewrite({ type: other, [field]: '/' }),
      `type must be '${type}' when ${field} is set`,
    ],
  ];
}

function pathRows(type: string): Row[] {
  const bad: readonly (readonly [value: string, message: string])[] = [
    ['a', "value must be an absolute path and start with '/'"],
    ...['//', '/./', '/../', '%2f', '%2F', '#'].map((part) => [`/a${part}b`, `must not contain '${part}'`] as const),
    ['/a/..', "must not end with '/..'"],
    ['/a/.', "must not end with '/.'"],
    ['/a b', 'must only contain valid characters'],
    ['/a%2', 'must only contain valid characters'],
  ];
  return bad.map(([value, message]): Row => [`${type} ${value}`, pathWith({ type, value }), message]);
}
