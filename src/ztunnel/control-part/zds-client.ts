/** ZDS client: learns from the node agent which pods to serve, and gets their network namespaces. */
import { createBackoff } from '../../lib/backoff.ts';
import { sleep } from '../../lib/clock.ts';
import { AmbitError, codeOf, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { closeDescriptor, connectSeqpacket, type SeqpacketConnection } from '../../net/index.ts';
import {
  decodeZdsRequest,
  encodeZdsAck,
  encodeZdsHello,
  zdsPacketBytes,
  type ZdsCapability,
  type ZdsRequest,
} from '../../wire/index.ts';
import type { PodInfo } from '../messages.ts';

export interface ZdsHandler {
  /**
   * Serve this pod; resolves when it is accepted from, rejects when it cannot be. One that is named in the snapshot may be
   * served by a ztunnel before us: its turn comes when the handler is ready. The handler owns `netns`.
   */
  serve(pod: PodInfo, netns: number, inSnapshot: boolean): Promise<void>;
  remove(uid: string): void;
  /** The pod is about to end: its peers should move on, while it is served as before. */
  drainPod(uid: string): void;
  /** The agent named all pods of the node: drop the others. */
  retainOnly(uids: ReadonlySet<string>): void;
  /** Whether the agent is connected and has named all pods. */
  ready(isReady: boolean): void;
}

export interface ZdsClientOptions {
  readonly path: string;
  readonly handler: ZdsHandler;
  readonly log: Log;
  /** Ends it at once. */
  readonly signal: AbortSignal;
  /** Ends it with the connection at hand: one who drains still wants to hear which pods leave, and is nobody to give pods to. */
  readonly stopFollowing?: AbortSignal;
  /** Pods come with their resolvers. */
  readonly capturesDns?: boolean;
}

/** Connects, and again after every end, until `signal` aborts. Pods that are served stay so while the agent is away. */
export async function runZdsClient(options: ZdsClientOptions): Promise<void> {
  const { handler, log, signal, stopFollowing } = options;
  const backoff = createBackoff({ initialMs: 10, maxMs: 15_000 });
  while (!signal.aborted && !stopFollowing?.aborted) {
    try {
      await runConnection(options, () => backoff.reset());
      log.info('node agent disconnected');
    } catch (error) {
      const absent = codeOf(error)?.endsWith('enoent') === true || codeOf(error)?.endsWith('econnrefused') === true;
      log[absent ? 'debug' : 'warn']('node agent connection failed', { error: messageOf(error) });
    }
    handler.ready(false);
    await sleep(backoff.next(), stopFollowing ? AbortSignal.any([signal, stopFollowing]) : signal);
  }
}

/** What we understand beyond plain ZDS. */
const capabilities: readonly ZdsCapability[] = ['drain', 'holder', 'mark'];

function runConnection(
  { path, handler, log, signal, capturesDns }: ZdsClientOptions,
  onSnapshot: () => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => connection.close();
    const stream = new ZdsStream(handler, onSnapshot);
    const connection: SeqpacketConnection = connectSeqpacket({
      path,
      maxBytes: zdsPacketBytes,
      onMessage(bytes, descriptor) {
        stream.receive(connection, bytes, descriptor);
      },
      onClose(error) {
        signal.removeEventListener('abort', onAbort);
        const failure = stream.failure ?? error;
        if (failure) reject(failure);
        else resolve();
      },
    });
    signal.addEventListener('abort', onAbort, { once: true });
    connection.send(encodeZdsHello(capturesDns ? [...capabilities, 'resolver'] : capabilities));
    log.debug('node agent connected');
  });
}

/** One connection's messages, handled one after the other: the agent waits for each answer anyway. */
class ZdsStream {
  readonly #handler: ZdsHandler;
  readonly #onSnapshot: () => void;
  readonly #mentioned = new Set<string>();
  #snapshotDone = false;
  #work: Promise<void> = Promise.resolve();
  failure: Error | undefined;

  constructor(handler: ZdsHandler, onSnapshot: () => void) {
    this.#handler = handler;
    this.#onSnapshot = onSnapshot;
  }

  receive(connection: SeqpacketConnection, bytes: Uint8Array, descriptor: number | undefined): void {
    this.#work = this.#work.then(async () => {
      if (this.failure) {
        if (descriptor !== undefined) closeDescriptor(descriptor);
        return;
      }
      try {
        const error = await this.#handle(bytes, descriptor);
        connection.send(encodeZdsAck(error));
      } catch (error) {
        // A protocol error, or nobody to answer to: start over.
        this.failure = error as Error;
        connection.close(error as Error);
      }
    });
  }

  /** Returns the error to answer with. Throws on protocol errors. */
  async #handle(bytes: Uint8Array, descriptor: number | undefined): Promise<string | undefined> {
    const request = this.#decode(bytes, descriptor);
    switch (request.kind) {
      case 'add': {
        this.#mentioned.add(request.uid);
        try {
          await this.#handler.serve({ uid: request.uid, ...request.pod }, descriptor as number, !this.#snapshotDone);
          return undefined;
        } catch (error) {
          return messageOf(error);
        }
      }
      case 'keep':
        if (this.#snapshotDone) throw protocolError('a pod is kept after the snapshot');
        this.#mentioned.add(request.uid);
        return undefined;
      case 'del':
        this.#mentioned.delete(request.uid);
        this.#handler.remove(request.uid);
        return undefined;
      case 'drain':
        this.#handler.drainPod(request.uid);
        return undefined;
      case 'snapshot-sent':
        if (this.#snapshotDone) throw protocolError('a second snapshot');
        this.#snapshotDone = true;
        this.#handler.retainOnly(this.#mentioned);
        this.#handler.ready(true);
        this.#onSnapshot();
        return undefined;
    }
  }

  #decode(bytes: Uint8Array, descriptor: number | undefined): ZdsRequest {
    try {
      const request = decodeZdsRequest(bytes);
      if (request.kind === 'add' && descriptor === undefined) throw protocolError('a pod came without its namespace');
      if (request.kind !== 'add' && descriptor !== undefined)
        throw protocolError(`"${request.kind}" came with a descriptor`);
      return request;
    } catch (error) {
      if (descriptor !== undefined) closeDescriptor(descriptor);
      throw error;
    }
  }
}

function protocolError(problem: string): AmbitError {
  return new AmbitError(`Cannot follow the node agent: ${problem}`, { code: 'zds.protocol', blame: 'upstream' });
}
