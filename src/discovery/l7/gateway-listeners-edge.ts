/** Listeners that serve, as ports of a gateway's proxy: those of one port share it, told apart by host name. Pure. */
import type { EdgeListener, EdgeServer, PolicyAttachment } from '../../api/l7/index.ts';
import type { GatewayView } from './gateway-listeners-view.ts';
import type { ListenerView } from './gateway-listeners.ts';

/** Policies are attached by whoever knows them. */
const noPolicies: PolicyAttachment = {
  authorization: [],
  authentication: [],
  rateLimits: [],
  telemetry: [],
  extensions: [],
};

/** Name of the route table of a listener. */
export function edgeRouteTable({ port, name }: Pick<ListenerView, 'port' | 'name'>): string {
  return `edge/${port}/${name}`;
}

export function edgeListeners(view: GatewayView): EdgeListener[] {
  if (view.role !== 'ingress') return [];
  const byPort = Map.groupBy(
    view.listeners.filter(({ isTold }) => isTold),
    ({ port }) => port,
  );
  return [...byPort].map(([port, listeners]) => ({
    kind: 'listener',
    type: 'edge',
    name: `edge/${port}`,
    port,
    policies: noPolicies,
    servers: listeners.flatMap((listener) => edgeServer(view, listener)),
    origin: originOf(view),
  }));
}

function edgeServer(view: GatewayView, listener: ListenerView): EdgeServer[] {
  const { name, protocol, hostname, tls, index } = listener;
  if (protocol === undefined || protocol === 'hbone') return [];
  return [
    {
      name,
      protocol,
      hostname,
      ...(tls ? { tls } : {}),
      routes: edgeRouteTable(listener),
      policies: noPolicies,
      origin: { ...originOf(view), path: `spec.listeners[${index}]` },
    },
  ];
}

function originOf({ namespace, name, generation }: GatewayView): EdgeListener['origin'] {
  return { kind: 'Gateway', namespace, name, generation: generation ?? 0 };
}
