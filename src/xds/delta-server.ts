/** Delta xDS over one aggregated stream per client, for any types. */
import { systemClock, type Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { rpcError, type RpcCall, type RpcServer, type RpcServerStream } from '../rpc/index.ts';
import { deltaDiscoveryMethod, type DeltaRequest, type DeltaResponse, type DiscoveryNode } from '../wire/index.ts';
import { createPushSlots, type PushSlots } from './push-slots.ts';
import { ServerSession, type DeltaAnswer, type DeltaServerType, type DeltaTypeStatus } from './server-session.ts';

export interface DeltaServerOptions<Client> {
  /**
   * In push order: within one change, additions of earlier types go before those of later ones, removals the other way
   * round. A type that others refer to comes first (Authorization, then Address).
   */
  readonly types: readonly DeltaServerType[];
  /** Who calls. Throws `rpcError('unauthenticated' | 'permission-denied')`; nothing is read from the peer before. */
  readonly authenticate: (call: RpcCall) => Promise<Client>;
  /** Whether this client may be this node. Throws `rpcError`. */
  readonly admit?: (client: Client, node: DiscoveryNode) => void;
  /** A client accepted or refused a response. */
  readonly onAnswer?: (connection: DeltaConnection<Client>, answer: DeltaAnswer) => void;
  readonly onDisconnect?: (connection: DeltaConnection<Client>) => void;
  /** Default: the system's. */
  readonly clock?: Clock;
  readonly log: Log;
}

export interface DeltaConnection<Client> {
  readonly client: Client;
  readonly node: DiscoveryNode;
  readonly peerAddress: string;
}

export interface DeltaServer<Client> {
  register(server: RpcServer): void;
  /** Who is connected, and how far each is. */
  connections(): readonly (DeltaConnection<Client> & { readonly types: readonly DeltaTypeStatus[] })[];
}

/** Of large responses on their way at once. */
const largePushes = 8;

export function createDeltaServer<Client>(options: DeltaServerOptions<Client>): DeltaServer<Client> {
  const shared: Shared<Client> = {
    open: new Map(),
    slots: createPushSlots(largePushes, options.clock ?? systemClock),
  };
  return {
    register: (server) => server.handleStream(deltaDiscoveryMethod, (stream) => serve(options, shared, stream)),
    connections: () => [...shared.open].map(([connection, session]) => ({ ...connection, types: session.status() })),
  };
}

/** What the streams of one server share. */
interface Shared<Client> {
  readonly open: Map<DeltaConnection<Client>, ServerSession>;
  readonly slots: PushSlots;
}

async function serve<Client>(
  options: DeltaServerOptions<Client>,
  { open, slots }: Shared<Client>,
  stream: RpcServerStream<DeltaRequest, DeltaResponse>,
): Promise<void> {
  const { peerAddress } = stream.call;
  const log = options.log.child('xds', { peer: peerAddress });
  let client: Client;
  try {
    client = await options.authenticate(stream.call);
  } catch (error) {
    log.warn('discovery client refused', { error: messageOf(error) });
    throw error;
  }

  let admitted: { readonly connection: DeltaConnection<Client>; readonly session: ServerSession } | undefined;
  const admit = (node: DiscoveryNode | undefined): ServerSession => {
    if (!node) throw rpcError('invalid-argument', 'the first request names no node');
    options.admit?.(client, node);
    const connection = { client, node, peerAddress };
    const onAnswer = (answer: DeltaAnswer): void => {
      if (answer.refusal !== undefined) {
        log.warn('response refused', { node: node.id, type: answer.typeUrl, reason: answer.refusal });
      }
      options.onAnswer?.(connection, answer);
    };
    const session = new ServerSession({ types: options.types, stream, slots, onAnswer });
    admitted = { connection, session };
    open.set(connection, session);
    session.start();
    log.info('discovery client connected', { node: node.id });
    return session;
  };

  stream.read({
    onMessage(request) {
      try {
        const session = admitted?.session ?? admit(request.node);
        session.request(request);
      } catch (error) {
        log.warn('discovery client refused', { error: messageOf(error) });
        stream.fail(error);
      }
    },
    onEnd: () => stream.end(),
    onDrain: () => admitted?.session.drained(),
    onClose() {
      if (!admitted) return;
      const { connection, session } = admitted;
      session.stop();
      open.delete(connection);
      options.onDisconnect?.(connection);
      log.info('discovery client disconnected', { node: connection.node.id });
    },
  });
}
