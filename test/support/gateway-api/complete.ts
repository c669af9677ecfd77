/** One object of each kind of the Gateway API with every field that the kind has, valid as it stands. */
import type { KubeObject } from '../../../src/api/index.ts';

const group = 'gateway.networking.k8s.io';
const trialGroup = 'gateway.networking.x-k8s.io';
const controllerName = 'example.com/controller';
const time = '2026-11-23T10:00:00Z';

const conditions = [
  {
    type: 'Accepted',
    status: 'True',
    reason: 'Accepted',
    message: '',
    lastTransitionTime: time,
    observedGeneration: 3,
  },
  { type: 'example.com/Tuned', status: 'False', reason: 'Later', message: 'Not yet.', lastTransitionTime: time },
];
const parentRef = {
  group,
  kind: 'Gateway',
  namespace: 'edge',
  name: 'front',
  sectionName: 'https',
  port: 443,
};
const parametersRef = { group: 'example.com', kind: 'Parameters', name: 'tuned', namespace: 'edge' };
const secret = { group: '', kind: 'Secret', name: 'front-cert', namespace: 'certs' };
const authorities = { group: '', kind: 'ConfigMap', name: 'clients', namespace: 'certs' };
const selector = {
  matchLabels: { team: 'shop' },
  matchExpressions: [{ key: 'stage', operator: 'In', values: ['prod', 'canary'] }],
};
const backendRef = { group: '', kind: 'Service', name: 'reviews', namespace: 'shop', port: 9080 };
const routeStatus = { parents: [{ parentRef, controllerName, conditions }] };
const policyStatus = { ancestors: [{ ancestorRef: parentRef, controllerName, conditions }] };
const extensionRef = { group: 'example.com', kind: 'Filter', name: 'strict' };
const listenerStatus = [
  { name: 'https', attachedRoutes: 2, supportedKinds: [{ group, kind: 'HTTPRoute' }], conditions },
];

const listeners = [
  {
    name: 'https',
    hostname: '*.shop.example.com',
    port: 443,
    protocol: 'HTTPS',
    tls: { mode: 'Terminate', certificateRefs: [secret], options: { 'example.com/tls-version': '1.3' } },
    allowedRoutes: { namespaces: { from: 'Selector', selector }, kinds: [{ group, kind: 'HTTPRoute' }] },
  },
  { name: 'http', port: 80, protocol: 'HTTP', allowedRoutes: { namespaces: { from: 'Same' } } },
];

const headers = { set: [{ name: 'x-a', value: '1' }], add: [{ name: 'x-b', value: '2 3' }], remove: ['x-c'] };
const fraction = { numerator: 1, denominator: 50 };
const path = { type: 'ReplacePrefixMatch', replacePrefixMatch: '/v2' };
const fullPath = { type: 'ReplaceFullPath', replaceFullPath: '/' };
const prefix = (value: string): object => ({ path: { type: 'PathPrefix', value } });
const redirect = (to: object): object => ({
  type: 'RequestRedirect',
  requestRedirect: { scheme: 'https', hostname: 'new.example.com', path: to, port: 8443, statusCode: 301 },
});

const httpFilters = [
  { type: 'RequestHeaderModifier', requestHeaderModifier: headers },
  { type: 'ResponseHeaderModifier', responseHeaderModifier: headers },
  { type: 'RequestMirror', requestMirror: { backendRef, fraction } },
  { type: 'RequestMirror', requestMirror: { backendRef, percent: 5 } },
  { type: 'URLRewrite', urlRewrite: { hostname: 'v2.example.com', path } },
  { type: 'ExtensionRef', extensionRef },
  {
    type: 'CORS',
    cors: {
      allowOrigins: ['https://*.example.com', 'http://localhost:8080'],
      allowCredentials: true,
      allowMethods: ['GET', 'POST'],
      allowHeaders: ['x-a', 'x-b'],
      exposeHeaders: ['x-c'],
      maxAge: 60,
    },
  },
  {
    type: 'ExternalAuth',
    externalAuth: {
      protocol: 'HTTP',
      backendRef,
      http: { path: '/check', allowedHeaders: ['cookie'], allowedResponseHeaders: ['x-user'] },
      forwardBody: { maxSize: 1024 },
    },
  },
  {
    type: 'ExternalAuth',
    externalAuth: { protocol: 'GRPC', backendRef, grpc: { allowedHeaders: ['cookie'] } },
  },
];

const sessionPersistence = {
  type: 'Cookie',
  sessionName: 'shop',
  absoluteTimeout: '1h30m',
  cookieConfig: { lifetimeType: 'Permanent' },
};

const tlsValidation = {
  caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'backends' }],
  hostname: 'reviews.shop.svc',
  subjectAltNames: [
    { type: 'Hostname', hostname: '*.shop.svc' },
    { type: 'URI', uri: 'spiffe://cluster.local/ns/shop/sa/reviews' },
  ],
};

const l4Rule = { name: 'all', backendRefs: [{ ...backendRef, weight: 3 }] };

export const completeObjects: readonly KubeObject[] = [
  clusterWide(`${group}/v1`, 'GatewayClass', {
    spec: { controllerName, description: 'For the edge.', parametersRef },
    status: { conditions, supportedFeatures: [{ name: 'HTTPRoute' }] },
  }),
  namespaced(`${group}/v1`, 'Gateway', {
    spec: {
      gatewayClassName: 'edge',
      listeners,
      addresses: [
        { type: 'IPAddress', value: '192.0.2.7' },
        { type: 'Hostname', value: 'front.example.com' },
      ],
      infrastructure: {
        labels: { 'example.com/team': 'shop' },
        annotations: { note: 'for the shop' },
        parametersRef: extensionRef,
      },
      allowedListeners: { namespaces: { from: 'Selector', selector } },
      tls: {
        backend: { clientCertificateRef: secret },
        frontend: {
          default: { validation: { caCertificateRefs: [authorities], mode: 'AllowValidOnly' } },
          perPort: [
            {
              port: 8443,
              tls: { validation: { caCertificateRefs: [authorities], mode: 'AllowInsecureFallback' } },
            },
          ],
        },
      },
      defaultScope: 'All',
    },
    status: {
      addresses: [{ type: 'IPAddress', value: '2001:db8::7' }],
      attachedListenerSets: 1,
      conditions,
      listeners: listenerStatus,
    },
  }),
  namespaced(`${group}/v1`, 'ListenerSet', {
    spec: { parentRef: { group, kind: 'Gateway', name: 'front', namespace: 'edge' }, listeners },
    status: { conditions, listeners: listenerStatus },
  }),
  namespaced(`${group}/v1`, 'HTTPRoute', {
    spec: {
      parentRefs: [parentRef, { ...parentRef, sectionName: 'http', port: 80 }],
      hostnames: ['shop.example.com', '*.shop.example.com'],
      rules: [
        {
          name: 'reviews',
          matches: [
            {
              path: { type: 'PathPrefix', value: '/reviews' },
              headers: [{ type: 'RegularExpression', name: 'x-user', value: 'j.*' }],
              queryParams: [{ type: 'Exact', name: 'lang', value: 'de' }],
              method: 'GET',
            },
          ],
          filters: httpFilters,
          backendRefs: [{ ...backendRef, weight: 9, filters: httpFilters }],
          timeouts: { request: '10s', backendRequest: '2s500ms' },
          retry: { codes: [500, 503], attempts: 2, backoff: '100ms' },
          sessionPersistence,
        },
        { matches: [prefix('/old')], filters: [redirect(fullPath)] },
        { matches: [prefix('/older')], filters: [redirect(path)] },
        {
          matches: [prefix('/mixed')],
          filters: [{ type: 'URLRewrite', urlRewrite: { path: fullPath } }],
          backendRefs: [
            { ...backendRef, weight: 1, filters: [redirect(fullPath)] },
            { ...backendRef, weight: 1, filters: [redirect(path)] },
            { ...backendRef, weight: 1, filters: [{ type: 'URLRewrite', urlRewrite: { path: fullPath } }] },
          ],
        },
      ],
      useDefaultGateways: 'All',
    },
    status: routeStatus,
  }),
  namespaced(`${group}/v1`, 'GRPCRoute', {
    spec: {
      parentRefs: [parentRef],
      hostnames: ['grpc.example.com'],
      rules: [
        {
          name: 'greeter',
          matches: [
            {
              method: { type: 'Exact', service: 'helloworld.Greeter', method: 'SayHello' },
              headers: [{ type: 'Exact', name: 'x-user', value: 'jason' }],
            },
          ],
          filters: httpFilters.filter(({ type }) => /Header|Mirror|Extension/.test(type)),
          backendRefs: [
            {
              ...backendRef,
              weight: 1,
              filters: httpFilters.filter(({ type }) => /Header|Mirror|Extension/.test(type)),
            },
          ],
          sessionPersistence,
        },
      ],
      useDefaultGateways: 'None',
    },
    status: routeStatus,
  }),
  namespaced(`${group}/v1`, 'TLSRoute', {
    spec: {
      parentRefs: [parentRef],
      hostnames: ['db.example.com', '*.db.example.com'],
      rules: [l4Rule],
      useDefaultGateways: 'None',
    },
    status: routeStatus,
  }),
  namespaced(`${group}/v1`, 'TCPRoute', {
    spec: { parentRefs: [parentRef], rules: [l4Rule], useDefaultGateways: 'None' },
    status: routeStatus,
  }),
  namespaced(`${group}/v1`, 'UDPRoute', {
    spec: { parentRefs: [parentRef], rules: [l4Rule], useDefaultGateways: 'None' },
    status: routeStatus,
  }),
  namespaced(`${group}/v1beta1`, 'ReferenceGrant', {
    spec: {
      from: [{ group, kind: 'HTTPRoute', namespace: 'shop' }],
      to: [{ group: '', kind: 'Service', name: 'reviews' }],
    },
  }),
  namespaced(`${group}/v1`, 'BackendTLSPolicy', {
    spec: {
      targetRefs: [
        { group: '', kind: 'Service', name: 'reviews', sectionName: 'https' },
        { group: '', kind: 'Service', name: 'reviews', sectionName: 'grpcs' },
      ],
      validation: tlsValidation,
      options: { 'example.com/tls-version': '1.3' },
    },
    status: policyStatus,
  }),
  namespaced(`${trialGroup}/v1alpha1`, 'XBackendTrafficPolicy', {
    spec: {
      targetRefs: [{ group: '', kind: 'Service', name: 'reviews' }],
      retryConstraint: { budget: { percent: 10, interval: '30s' }, minRetryRate: { count: 5, interval: '2s' } },
      sessionPersistence,
    },
    status: policyStatus,
  }),
  namespaced(`${trialGroup}/v1alpha1`, 'XBackend', {
    spec: {
      type: 'ExternalHostname',
      externalHostname: { hostname: 'api.example.com' },
      port: { name: 'https', port: 443 },
      protocol: 'HTTP2',
      tls: { mode: 'ClientAndServer', clientCertificateRef: secret, validation: tlsValidation },
    },
    status: routeStatus,
  }),
  clusterWide(`${trialGroup}/v1alpha1`, 'XMesh', {
    spec: { controllerName, description: 'The mesh.', parametersRef },
    status: { conditions, supportedFeatures: [{ name: 'Mesh' }] },
  }),
];

/** The one of a kind. */
export function completeObject(kind: string): KubeObject {
  const found = completeObjects.find((object) => object.kind === kind);
  if (!found) throw new Error(`Kind "${kind}" is none of the Gateway API`);
  return found;
}

function namespaced(apiVersion: string, kind: string, rest: object): KubeObject {
  return { apiVersion, kind, metadata: { name: 'x', namespace: 'default' }, ...rest };
}

function clusterWide(apiVersion: string, kind: string, rest: object): KubeObject {
  return { apiVersion, kind, metadata: { name: 'x' }, ...rest };
}
