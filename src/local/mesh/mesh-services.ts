/** Services where no node is: rules for the namespace of the bridge, addresses for load balancers, ports for the host. */
import { rmSync } from 'node:fs';
import type { Server } from 'node:net';
import type { EndpointSlice, Service } from '../../api/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import { systemClock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { startLoadBalancers } from '../controllers/index.ts';
import { ClusterNames, startDnsServer } from '../dns/index.ts';
import {
  askHostResolver,
  bridgeAddress,
  bridgeAddress6,
  bridgeName,
  clusterIpOf,
  followServices,
  loadBalancerCidr,
  loadBalancerCidr6,
  meshFamilies,
  ServiceProxy,
  startEgress,
  targetsOf,
} from '../network/index.ts';
import { startForwarder } from './forwarder.ts';
import { parsePublishedPort, publishedSocket, type PublishedPort } from './published-ports.ts';
import type { StatePaths } from './state-dir.ts';

const clusterDomain = 'cluster.local';

export interface MeshServicesOptions {
  readonly client: KubeClient;
  readonly paths: StatePaths;
  /** `HOST-PORT:NAMESPACE/SERVICE:PORT`. */
  readonly publish: readonly string[];
  /** Whether what runs here may reach addresses outside the mesh through the host. */
  readonly hasEgress: boolean;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Runs in the namespace of the bridge until `signal` aborts. Resolves when the ports that the host has are served. */
export async function startMeshServices(options: MeshServicesOptions): Promise<void> {
  const { client, paths, log, signal } = options;
  const families = meshFamilies();
  const scope = { families };
  const view = followServices({ client, signal, log, onChange: (key) => proxy.changed(key) });
  const proxy = new ServiceProxy({ ...view, scope, clock: systemClock, log: log.child('service-proxy') });
  const servers: Server[] = [];
  signal.addEventListener('abort', () => {
    proxy.close();
    for (const server of servers) server.close();
  });
  const pools = { IPv4: loadBalancerCidr, ...(families.includes('IPv6') ? { IPv6: loadBalancerCidr6 } : {}) };
  await Promise.all([view.synced, startLoadBalancers({ client, pools, clock: systemClock, log, signal })]);
  proxy.start();
  if (options.hasEgress) await startBridgeEgress(options, new ClusterNames({ clusterDomain, ...view }));
  for (const published of options.publish.map(parsePublishedPort)) {
    const path = publishedSocket(paths, published);
    const key = `${published.namespace}/${published.service}`;
    const find = (): PublishedTarget | undefined => {
      const service = publishedService(published, view.services);
      return targetOfPublished(
        published,
        service,
        view.slicesOf(`${service?.metadata.namespace}/${service?.metadata.name}`),
      );
    };
    rmSync(path, { force: true });
    const server = await startForwarder({
      listen: { path },
      target: find,
      log: log.child('published', { service: key }),
    });
    servers.push(server);
  }
}

/** The control plane's way out, names included. */
async function startBridgeEgress({ paths, log, signal }: MeshServicesOptions, names: ClusterNames): Promise<void> {
  const relayPath = paths.egressSocket;
  const v6 = meshFamilies().includes('IPv6') ? { IPv6: { listen: bridgeAddress6, source: bridgeAddress6 } } : {};
  const addresses = { IPv4: { listen: bridgeAddress, source: bridgeAddress }, ...v6 };
  const egress = await startEgress({ addresses, device: bridgeName, relayPath, log: log.child('egress') });
  const upstream = (query: Uint8Array): Promise<Uint8Array | undefined> => askHostResolver(relayPath, query);
  const dns = await startDnsServer({ host: bridgeAddress, clusterDomain, names: () => names, upstream, log });
  signal.addEventListener('abort', () => {
    egress.close();
    void dns.close();
  });
}

interface PublishedTarget {
  readonly host: string;
  readonly port: number;
}

/** Pure: the Service of that name, else the one in front of the Gateway of that name, which has its class in its own name. */
export function publishedService(
  { namespace, service }: Pick<PublishedPort, 'namespace' | 'service'>,
  services: ReadonlyMap<string, Service>,
): Service | undefined {
  const named = services.get(`${namespace}/${service}`);
  if (named) return named;
  return [...services.values()].find(
    ({ metadata }) =>
      metadata.namespace === namespace && metadata.labels?.['gateway.networking.k8s.io/gateway-name'] === service,
  );
}

/** Pure: where a connection goes; undefined when the Service or its port is not there. */
export function targetOfPublished(
  published: PublishedPort,
  service: Service | undefined,
  slices: Iterable<EndpointSlice>,
): PublishedTarget | undefined {
  const port = service?.spec?.ports?.find(
    (each) => each.name === published.port || String(each.port) === published.port,
  );
  if (!service || !port) return undefined;
  const [ingress] = service.spec?.type === 'LoadBalancer' ? (service.status?.loadBalancer?.ingress ?? []) : [];
  const ip = ingress?.ip ?? clusterIpOf(service, 'IPv4') ?? clusterIpOf(service, 'IPv6');
  if (ip !== undefined) return { host: ip, port: port.port };
  const [family = 'IPv4'] = service.spec?.ipFamilies ?? [];
  const [target] = targetsOf({ service, slices, port, family, scope: { families: [family] } });
  return target && { host: target.ip, port: target.port };
}
