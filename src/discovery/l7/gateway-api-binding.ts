/** A route object -> the places where its rules hold, and the verdict on it. Pure. */
import type { GRPCRoute, HTTPRoute, TCPRoute, TLSRoute } from '../../api/gateway.ts';
import type { KubeObject } from '../../api/meta.ts';
import { createReferenceReader, type ReferenceReader, type RouteScope } from './gateway-api-backends.ts';
import type { BoundRoutes } from './contracts.ts';
import { resolveParent, type ParentRef, type ParentScope } from './gateway-api-parents.ts';
import { gatewayGroup, type RouteKind } from './gateway-listeners.ts';
import { grpcRules } from './grpc-route-rules.ts';
import { httpRules, type DroppedRule } from './http-route-rules.ts';
import { tcpRules, tlsRules } from './l4-route-rules.ts';
import { parentVerdict, type RouteVerdict } from './route-status.ts';

export interface RouteOutcome {
  readonly bound: readonly BoundRoutes[];
  readonly verdict: RouteVerdict;
  /** Listeners that it is attached to, each once: `<namespace>/<name of the Gateway>#<listener>`. */
  readonly listeners: readonly string[];
}

type Scope = RouteScope & ParentScope;
type Rules = Pick<BoundRoutes, 'http' | 'tls' | 'tcp'>;

interface RouteObject extends KubeObject {
  readonly spec: { readonly parentRefs?: readonly ParentRef[]; readonly hostnames?: readonly string[] };
}

const noRules: Rules = { http: [], tls: [], tcp: [] };

export const boundRoutesOf: {
  readonly http: (route: HTTPRoute, scope: Scope) => RouteOutcome;
  readonly grpc: (route: GRPCRoute, scope: Scope) => RouteOutcome;
  readonly tls: (route: TLSRoute, scope: Scope) => RouteOutcome;
  readonly tcp: (route: TCPRoute, scope: Scope) => RouteOutcome;
} = {
  http: (route, scope) =>
    bindRoute(route, 'HTTPRoute', scope, (references) => {
      const { rules, dropped } = httpRules(route, references);
      return { rules: { ...noRules, http: rules }, dropped };
    }),
  grpc: (route, scope) =>
    bindRoute(route, 'GRPCRoute', scope, (references) => {
      const { rules, dropped } = grpcRules(route, references);
      return { rules: { ...noRules, http: rules }, dropped };
    }),
  tls: (route, scope) =>
    bindRoute(route, 'TLSRoute', scope, (references) => ({
      rules: { ...noRules, tls: tlsRules(route, references) },
      dropped: [],
    })),
  tcp: (route, scope) =>
    bindRoute(route, 'TCPRoute', scope, (references) => ({
      rules: { ...noRules, tcp: tcpRules(route, references) },
      dropped: [],
    })),
};

function bindRoute(
  route: RouteObject,
  kind: RouteKind,
  scope: Scope,
  readRules: (references: ReferenceReader) => { readonly rules: Rules; readonly dropped: readonly DroppedRule[] },
): RouteOutcome {
  const { name = '', namespace = '', generation, creationTimestamp = '' } = route.metadata;
  const references = createReferenceReader(scope, { group: gatewayGroup, kind, namespace });
  const { rules, dropped } = readRules(references);
  const { problems, backends } = references;
  const ruleCount = rules.http.length + rules.tls.length + rules.tcp.length;
  const identity = { kind, namespace, hostnames: route.spec.hostnames };
  const outcomes = (route.spec.parentRefs ?? []).flatMap((ref) => resolveParent(ref, identity, scope) ?? []);
  // A route of which nothing is left is refused, and so holds nowhere.
  const bindings = ruleCount === 0 && dropped.length > 0 ? [] : outcomes.flatMap((outcome) => outcome.bindings);
  return {
    bound: bindings.map(({ parent, hostnames, consumerNamespace }) => ({
      parent,
      hostnames,
      ...(parent.kind === 'listener' ? narrowed(rules, hostnames) : rules),
      api: 'gateway',
      route: { kind, namespace, name },
      createdAt: creationTimestamp,
      ...(consumerNamespace === undefined ? {} : { consumerNamespace }),
      backends,
    })),
    verdict: {
      generation,
      parents: outcomes.map((outcome) => parentVerdict(outcome, { problems, dropped, ruleCount })),
    },
    listeners: [
      ...new Set(
        bindings.flatMap(({ parent }) => (parent.kind === 'listener' ? [`${parent.gateway}#${parent.listener}`] : [])),
      ),
    ],
  };
}

/** Server names of TLS are those that the listener takes too. */
function narrowed(rules: Rules, sniHosts: readonly string[]): Rules {
  return rules.tls.length === 0 ? rules : { ...rules, tls: rules.tls.map((rule) => ({ ...rule, sniHosts })) };
}
