/** Gateways, composed: their proxies are deployed, and their statuses say what came of it. */
import { isDeepStrictEqual } from 'node:util';
import type { GatewayClass } from '../api/gateway.ts';
import { kinds } from '../api/kinds.ts';
import type { ClusterId } from '../api/names.ts';
import { defaultRevision, objectKey, type Discovery } from '../discovery/index.ts';
import type { KubeClient } from '../kube/index.ts';
import type { Log } from '../lib/log.ts';
import { deployedGateway, startDeployer, type Deployer, type ProxyValues } from './deployer/index.ts';
import type { DeployedGateway } from './gateway-api-status.ts';
import { resourceNameOf, type Refusal } from './replica-report.ts';
import type { StatusKind } from './status-writer.ts';

export interface GatewaysOptions {
  readonly client: KubeClient;
  readonly discovery: Discovery;
  readonly cluster: ClusterId;
  readonly values: ProxyValues;
  readonly hasIstioClasses: boolean;
  /** Of the control plane. */
  readonly namespace: string;
  readonly revision: string;
  readonly clusterDomain: string;
  readonly trustDomain: string;
  readonly isLeader: () => boolean;
  /** Resolves when all that decides on a Gateway has been listed. */
  readonly known: Promise<void>;
  /** What a Gateway's status says may have changed; `namespace/name`. */
  readonly onChange: (gateway: string) => void;
  readonly signal: AbortSignal;
  readonly log: Log;
}

export interface Gateways {
  /** What is known of the proxies of a Gateway, `namespace/name`. */
  readonly deployed: (gateway: string) => DeployedGateway | undefined;
  /** Of Gateways and classes, only those that are this control plane's are written to. */
  readonly limit: (kind: StatusKind) => StatusKind;
  /** Account that the proxies of a Gateway run as; undefined: there is no such Gateway. */
  readonly accountOf: (namespace: string, gateway: string) => string | undefined;
  /** Gateways whose proxies refuse what they are told, `namespace/name`. */
  readonly setRefusals: (refusals: ReadonlyMap<string, Refusal> | undefined) => void;
  /** This replica leads from now on. */
  readonly lead: () => void;
}

export function startGateways(options: GatewaysOptions): Gateways {
  const { discovery, cluster, namespace, revision, clusterDomain, trustDomain } = options;
  const istiod = revision === defaultRevision ? 'istiod' : `istiod-${revision}`;
  const deployer = startDeployer({
    ...options,
    mesh: {
      namespace,
      revision,
      discoveryAddress: `${istiod}.${namespace}.svc:15012`,
      clusterDomain,
      clusterId: cluster,
      trustDomain,
    },
  });
  let refusals: ReadonlyMap<string, Refusal> = new Map();
  discovery.gatewayReach.subscribe((changes) => {
    for (const key of changes.keys()) options.onChange(key.slice(key.indexOf('/') + 1));
  });
  return {
    deployed(gateway) {
      const key = `${cluster}/${gateway}`;
      const [object, objects] = [discovery.gateways.get(key), discovery.gatewayObjects.get(key)];
      if (!object || !objects) return undefined;
      const reach = discovery.gatewayReach.get(key);
      return deployedGateway(object, {
        objects,
        reach,
        problem: deployer.problem(gateway),
        refusal: refusals.get(gateway),
      });
    },
    limit: (kind) => limitTo(kind, deployer),
    accountOf: (inNamespace, gateway) =>
      discovery.gatewayObjects.get(objectKey(cluster, inNamespace, gateway))?.serviceAccount,
    setRefusals(next = new Map()) {
      const before = refusals;
      refusals = next;
      for (const gateway of new Set([...before.keys(), ...next.keys()])) {
        if (!isDeepStrictEqual(before.get(gateway), next.get(gateway))) options.onChange(gateway);
      }
    },
    lead: () => deployer.lead(),
  };
}

function limitTo(kind: StatusKind, deployer: Deployer): StatusKind {
  switch (resourceNameOf(kind.kind)) {
    case resourceNameOf(kinds.Gateway):
      return { ...kind, current: (name) => (deployer.isMine(name) ? kind.current(name) : undefined) };
    case resourceNameOf(kinds.GatewayClass):
      return {
        ...kind,
        current(name) {
          const found = kind.current(name) as GatewayClass | undefined;
          return found && deployer.isOurs(found.spec.controllerName) ? kind.current(name) : undefined;
        },
      };
    default:
      return kind;
  }
}
