/** The ports that the configuration asks for: opened and closed as it changes. */
import { messageOf } from '../../lib/errors.ts';
import { adoptListenSocket, listen, type AcceptedSocket, type Listener as Socket } from '../../net/index.ts';
import type { Listener } from '../../api/l7/index.ts';
import type { ProxySnapshot } from '../config/snapshot.ts';
import type { ConnectionCap } from './connection-cap.ts';
import { createEastWestServer } from './east-west-server.ts';
import { EdgeServer } from './edge-server.ts';
import type { ListenerContext } from './listener-context.ts';
import { createWaypointServer } from './waypoint-server.ts';

export interface ListenerAddress {
  readonly name: string;
  readonly port: number;
}

export interface Listeners {
  /** Opens what is new and closes what is gone; connections of closed listeners live on. Resolves when all are there. */
  apply(snapshot: ProxySnapshot): Promise<void>;
  addresses(): ListenerAddress[];
  /** Accepts no more. */
  close(): Promise<void>;
}

export interface ListenersOptions {
  readonly context: ListenerContext;
  readonly cap: ConnectionCap;
  /** IP literal; `::` for all. */
  readonly host: string;
  /** Descriptor of the network namespace to listen in; absent: the process's own. */
  readonly netns?: number;
  /**
   * Called once, when every listener of a configuration is open. One that comes later and cannot be opened is no reason to take the
   * others from their clients.
   */
  readonly onReady?: () => void;
}

interface Server {
  /** Serves one connection to its end. Never throws. */
  serve(accepted: AcceptedSocket): Promise<void>;
}

const servers: Readonly<Record<Listener['type'], (context: ListenerContext, name: string) => Server>> = {
  waypoint: createWaypointServer,
  'east-west': createEastWestServer,
  edge: (context, name) => new EdgeServer(context, name),
};

/** A port that cannot be bound is tried again after this. */
const retryMs = 1000;

export function createListeners({ context, cap, host, netns, onReady }: ListenersOptions): Listeners {
  const open = new Map<string, { readonly port: number; readonly type: Listener['type']; readonly socket: Socket }>();
  const failed = new Set<string>();
  let applied: ProxySnapshot | undefined;
  let work = Promise.resolve();
  let closed = false;
  let isReady = false;

  const openOne = async (listener: Listener): Promise<void> => {
    const { name, type, port } = listener;
    const server = servers[type](context, name);
    try {
      const { share } = context;
      const events = {
        onConnection(accepted: AcceptedSocket) {
          if (cap.admit(accepted, { name, isEdge: type === 'edge' })) void server.serve(accepted);
        },
        onError: (error: Error) =>
          context.services.log.error('a listener failed', { listener: name, error: messageOf(error) }),
      };
      const socket = share
        ? await adoptListenSocket({ fd: await share.openSocket(port), ...events })
        : await listen({ ...(netns === undefined ? {} : { netns }), host, port, ...events });
      open.set(name, { port: listener.port, type, socket });
      failed.delete(name);
      context.services.log.info('listening', { listener: name, port: socket.address.port });
    } catch (error) {
      failed.add(name);
      context.services.log.error('cannot listen: tried again', { listener: name, port, error: messageOf(error) });
      context.services.clock.after(retryMs, () => void enqueue());
    }
  };
  const reconcile = async (): Promise<void> => {
    const snapshot = applied;
    if (!snapshot || closed) return;
    for (const [name, { port, type, socket }] of open) {
      const wanted = snapshot.listeners.get(name);
      if (wanted?.port === port && wanted.type === type) continue;
      open.delete(name);
      await socket.close();
    }
    for (const name of failed) if (!snapshot.listeners.has(name)) failed.delete(name);
    for (const listener of snapshot.listeners.values()) if (!open.has(listener.name)) await openOne(listener);
    if (isReady || ![...snapshot.listeners.keys()].every((name) => open.has(name))) return;
    isReady = true;
    onReady?.();
  };
  const enqueue = (): Promise<void> => (work = work.then(reconcile));

  return {
    apply(snapshot) {
      applied = snapshot;
      return enqueue();
    },
    addresses: () => [...open].map(([name, { socket }]) => ({ name, port: socket.address.port })),
    async close() {
      closed = true;
      await work;
      await Promise.all([...open.values()].map(({ socket }) => socket.close()));
      open.clear();
    },
  };
}
