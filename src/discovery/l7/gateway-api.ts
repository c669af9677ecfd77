/**
 * The Gateway API as one part of the graph: routes bound to Services and listeners, ports and certificates of gateways at the
 * edge, and what the statuses of all of them say (ambient-l7, 2.3 and 15.4).
 */
import type { GRPCRoute, HTTPRoute, TCPRoute, TLSRoute } from '../../api/gateway.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { Collection, Graph } from '../../collection/index.ts';
import { isOwnController } from '../gateway-role.ts';
import type { MeshScope } from '../mesh-scope.ts';
import { clusterOfKey } from '../object-key.ts';
import type { WaypointBinding, ObjectVerdict } from '../waypoint-binding.ts';
import { boundRoutesOf, type RouteOutcome } from './gateway-api-binding.ts';
import { deriveBackendTls, type DerivedBackendTls } from './backend-tls-policy-derive.ts';
import type { PolicyVerdict } from './backend-tls-policy-status.ts';
import type { BoundRoutes, ProxyResourceOf } from './contracts.ts';
import { deriveCertificates, type CertificateTime } from './gateway-api-certificates.ts';
import { createLookups } from './gateway-api-lookups.ts';
import { edgeListeners } from './gateway-listeners-edge.ts';
import { gatewayVerdict, viewGateway, type GatewayVerdict, type GatewayView } from './gateway-listeners-view.ts';
import type { RouteKind } from './gateway-listeners.ts';
import type { RouteVerdict } from './route-status.ts';
import type { ServedCertificate } from './served-certificate.ts';

export interface GatewayApiInputs {
  readonly scope: MeshScope;
  /** By the key of the Service. */
  readonly serviceBindings: Collection<WaypointBinding>;
  /** By the key of the ServiceEntry. */
  readonly entryBindings: Collection<WaypointBinding>;
  readonly clusterDomain: string;
  /** Whether Gateways and statuses of Istio's controllers are ours too. */
  readonly hasIstioClasses: boolean;
  readonly certificateTime: CertificateTime;
}

export interface GatewayApi {
  readonly boundRoutes: Collection<BoundRoutes>;
  /** Ports of gateways at the edge, without the policies that are attached to them; keyed `<gateway>|listener/<name>`. */
  readonly edgeListeners: Collection<ProxyResourceOf>;
  /** Certificates of those ports; keyed `<gateway>|secret/<name>`. */
  readonly secrets: Collection<ProxyResourceOf>;
  /** What serves of the Secrets that Gateways name, by the key of the Secret. */
  readonly servedCertificates: Collection<ServedCertificate>;
  /** TLS towards a port of a Service, as BackendTLSPolicies say it. */
  readonly backendTls: DerivedBackendTls['of'];
  /** What the statuses say, by the key of the object. */
  readonly verdicts: GatewayApiVerdicts;
}

export interface GatewayApiVerdicts {
  /** Whether entries of this controller in a status are ours. */
  readonly isOwn: (controllerName: string) => boolean;
  readonly routes: Readonly<Record<RouteKind, Collection<RouteVerdict>>>;
  /** Of Gateways of all roles that are ours. */
  readonly gateways: Collection<GatewayVerdict>;
  readonly backendTlsPolicies: Collection<PolicyVerdict>;
  readonly classes: Collection<{ readonly generation: number | undefined; readonly accepted: ObjectVerdict }>;
}

export function deriveGatewayApi(graph: Graph, inputs: GatewayApiInputs): GatewayApi {
  const { scope, hasIstioClasses } = inputs;
  const isOwn = (controllerName: string): boolean => isOwnController(controllerName, hasIstioClasses);
  const certificates = deriveCertificates(graph, scope, inputs.certificateTime);
  const views = graph.map('views of gateways', scope.gateways, (gateway, key, read) => {
    const cluster = clusterOfKey(key);
    const gatewayClass = read.get(scope.gatewayClasses, `${cluster}//${gateway.spec.gatewayClassName}`);
    const view = viewGateway(gateway, gatewayClass, certificates.scopeOf(gateway, cluster, read));
    return view && isOwn(view.controllerName) ? view : undefined;
  });
  const lookups = createLookups(graph, { ...inputs, views, isGranted: certificates.isGranted });

  const outcomes = <T extends KubeObject>(
    kind: RouteKind,
    routes: Collection<T>,
    bind: (route: T, of: ReturnType<typeof lookups.of>) => RouteOutcome,
  ): Collection<RouteOutcome> =>
    graph.map(`${kind}s and their parents`, routes, (route, key, read) =>
      bind(route, lookups.of(clusterOfKey(key), route.metadata.namespace ?? '', read)),
    );
  const byKind: Readonly<Record<RouteKind, Collection<RouteOutcome>>> = {
    HTTPRoute: outcomes<HTTPRoute>('HTTPRoute', scope.httpRoutes, boundRoutesOf.http),
    GRPCRoute: outcomes<GRPCRoute>('GRPCRoute', scope.grpcRoutes, boundRoutesOf.grpc),
    TLSRoute: outcomes<TLSRoute>('TLSRoute', scope.tlsRoutes, boundRoutesOf.tls),
    TCPRoute: outcomes<TCPRoute>('TCPRoute', scope.tcpRoutes, boundRoutesOf.tcp),
  };
  const all = Object.entries(byKind);
  const attached = all.map(([kind, routes]) =>
    graph.index(`${kind}s by listener`, routes, (outcome, key) =>
      outcome.listeners.map((listener) => `${clusterOfKey(key)}/${listener}`),
    ),
  );
  const verdictsOf = (kind: RouteKind): Collection<RouteVerdict> =>
    graph.map(`verdicts on ${kind}s`, byKind[kind], ({ verdict }) => verdict);
  const boundRoutes = graph.join<BoundRoutes>(
    'bound routes of the Gateway API',
    all.map(([kind, routes]) =>
      graph.flatMap(`bound ${kind}s`, routes, ({ bound }, key) =>
        bound.map((one, index) => [`${kind}/${key}/${index}`, one] as const),
      ),
    ),
  );
  const backendTls = deriveBackendTls(graph, { ...inputs, boundRoutes, views, authorities: certificates.authorities });

  return {
    boundRoutes,
    backendTls: backendTls.of,
    edgeListeners: graph.flatMap<GatewayView, ProxyResourceOf>('listeners at the edge', views, (view) => {
      const gateway = `${view.namespace}/${view.name}`;
      return edgeListeners(view).map(
        (resource) => [`${gateway}|listener/${resource.name}`, { gateway, resource }] as const,
      );
    }),
    secrets: certificates.ofGateways(views),
    servedCertificates: certificates.served,
    verdicts: {
      isOwn,
      routes: {
        HTTPRoute: verdictsOf('HTTPRoute'),
        GRPCRoute: verdictsOf('GRPCRoute'),
        TLSRoute: verdictsOf('TLSRoute'),
        TCPRoute: verdictsOf('TCPRoute'),
      },
      gateways: graph.map('verdicts on gateways', views, (view, key, read) =>
        gatewayVerdict(view, (listener) => {
          const place = `${key}#${listener}`;
          return attached.reduce((count, index) => count + read.lookup(index, place).size, 0);
        }),
      ),
      backendTlsPolicies: backendTls.verdicts,
      classes: graph.map('verdicts on gateway classes', scope.gatewayClasses, ({ metadata, spec }) =>
        isOwn(spec.controllerName) ? { generation: metadata.generation, accepted: acceptedClass } : undefined,
      ),
    },
  };
}

/** The text is Istio's, which tools look for. */
const acceptedClass: ObjectVerdict = { status: 'True', reason: 'Accepted', message: 'Handled by Istio controller' };
