/** Delta xDS over one aggregated stream per client, for any types. */
import { systemClock, type Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { rpcError, type RpcCall, type RpcServer, type RpcServerStream } from '../rpc/index.ts';
import { deltaDiscoveryMethod, type DeltaRequest, type DeltaResponse, type DiscoveryNode } from '../wire/index.ts';
import { createPushSlots, type PushSlots } from './push-slots.ts';
import { ServerSession, type DeltaAnswer, type DeltaSessionType, type DeltaTypeStatus } from './server-session.ts';
import type { ResourceSource } from './source.ts';

/** A type that everybody is told the same of, or each client its own. */
export type DeltaServerType<Client> =
  | { readonly typeUrl: string; readonly source: ResourceSource }
  | {
      readonly typeUrl: string;
      /** A client accepts or refuses all that it was told of the type together, and goes on with the last that it accepted. */
      readonly isTransaction?: boolean;
      /** Undefined: there is no such type for this client, and its requests for it stay unanswered. */
      readonly sourceOf: (client: Client, node: DiscoveryNode) => ResourceSource | undefined;
    };

export interface DeltaServerOptions<Client> {
  /**
   * In push order: within one change, additions of earlier types go before those of later ones, removals the other way
   * round. A type that others refer to comes first (Authorization, then Address).
   */
  readonly types: readonly DeltaServerType<Client>[];
  /** Who calls. Throws `rpcError('unauthenticated' | 'permission-denied')`; nothing is read from the peer before. */
  readonly authenticate: (call: RpcCall) => Promise<Client>;
  /** Whether this client may be this node. Throws `rpcError`. */
  readonly admit?: (client: Client, node: DiscoveryNode) => void;
  /** A client accepted or refused a response. */
  readonly onAnswer?: (connection: DeltaConnection<Client>, answer: DeltaAnswer) => void;
  /** What clients hold, or refuse, has changed: `heldEpoch` and `refusals` tell. Called once a turn of the loop. */
  readonly onProgress?: () => void;
  readonly onDisconnect?: (connection: DeltaConnection<Client>) => void;
  /** Default: the system's. */
  readonly clock?: Clock;
  readonly log: Log;
}

export interface DeltaConnection<Client> {
  readonly client: Client;
  readonly node: DiscoveryNode;
  readonly peerAddress: string;
  readonly connectedAtMs: number;
}

export interface DeltaConnectionStatus<Client> extends DeltaConnection<Client> {
  /** It has answered all that was published. */
  readonly isInStep: boolean;
  readonly types: readonly DeltaTypeStatus[];
}

export interface DeltaServer<Client> {
  register(server: RpcServer): void;
  /** Who is connected, and how far each is. */
  /** Says that the sources have told a set of changes that belong together. Returns its epoch; epochs grow by one. */
  publish(): number;
  /** Every client has answered all that was published up to this epoch; clients that are still getting their first view do not count. */
  heldEpoch(): number;
  /**
   * Names of a type that clients refuse, with how many do, and the reason of one. `keyOf` gives another name than the
   * resource's, or none.
   */
  refusals(
    typeUrl: string,
    keyOf?: (client: Client, name: string) => string | undefined,
  ): ReadonlyMap<string, { readonly clients: number; readonly reason: string }>;
  connections(): readonly DeltaConnectionStatus<Client>[];
}

/** Of large responses on their way at once. */
const largePushes = 8;

export function createDeltaServer<Client>(options: DeltaServerOptions<Client>): DeltaServer<Client> {
  const shared: Shared<Client> = {
    open: new Map(),
    slots: createPushSlots(largePushes, options.clock ?? systemClock),
    epoch: 0,
    progress: onceATurn(() => options.onProgress?.()),
  };
  return {
    publish() {
      shared.epoch++;
      for (const session of shared.open.values()) session.published();
      shared.progress();
      return shared.epoch;
    },
    heldEpoch() {
      const held = [...shared.open.values()].map((session) => session.heldEpoch).filter((epoch) => epoch >= 0);
      return Math.min(shared.epoch, ...held);
    },
    refusals(typeUrl, keyOf = (_client, name) => name) {
      const found = new Map<string, { clients: number; reason: string }>();
      for (const [{ client }, session] of shared.open) {
        for (const [name, reason] of session.refused(typeUrl)) {
          const key = keyOf(client, name);
          const known = key === undefined ? undefined : found.get(key);
          if (known) known.clients++;
          else if (key !== undefined) found.set(key, { clients: 1, reason });
        }
      }
      return found;
    },
    register: (server) => server.handleStream(deltaDiscoveryMethod, (stream) => serve(options, shared, stream)),
    connections: () =>
      [...shared.open].map(([connection, session]) => ({
        ...connection,
        isInStep: session.heldEpoch >= shared.epoch,
        types: session.status(),
      })),
  };
}

function typeFor<Client>(type: DeltaServerType<Client>, client: Client, node: DiscoveryNode): DeltaSessionType[] {
  if ('source' in type) return [type];
  const source = type.sourceOf(client, node);
  return source ? [{ ...type, source }] : [];
}

/** What the streams of one server share. */
interface Shared<Client> {
  readonly open: Map<DeltaConnection<Client>, ServerSession>;
  readonly slots: PushSlots;
  epoch: number;
  readonly progress: () => void;
}

function onceATurn(run: () => void): () => void {
  let scheduled = false;
  return () => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      run();
    });
  };
}

async function serve<Client>(
  options: DeltaServerOptions<Client>,
  shared: Shared<Client>,
  stream: RpcServerStream<DeltaRequest, DeltaResponse>,
): Promise<void> {
  const { open, slots, progress } = shared;
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
    const connectedAtMs = (options.clock ?? systemClock).nowMs();
    const connection = { client, node, peerAddress, connectedAtMs };
    const onAnswer = (answer: DeltaAnswer): void => {
      if (answer.refusal !== undefined) {
        log.warn('response refused', { node: node.id, type: answer.typeUrl, reason: answer.refusal });
      }
      options.onAnswer?.(connection, answer);
    };
    const session = new ServerSession({
      types: options.types.flatMap((type) => typeFor(type, client, node)),
      stream,
      slots,
      onAnswer,
      epoch: () => shared.epoch,
      onProgress: progress,
    });
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
      progress();
      options.onDisconnect?.(connection);
      log.info('discovery client disconnected', { node: connection.node.id });
    },
  });
}
