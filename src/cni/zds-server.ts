/** The node agent's end of ZDS: tells ztunnel which pods to serve and hands it their network namespaces (ambient-l4 section 1.7). */
import { AmbitError, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { closeDescriptor, listenSeqpacket, type SeqpacketConnection, type SeqpacketListener } from '../net/index.ts';
import {
  decodeZdsAck,
  decodeZdsHello,
  encodeZdsRequest,
  fitsZdsPacket,
  zdsPacketBytes,
  type ZdsPod,
  type ZdsRequest,
} from '../wire/index.ts';

/** A pod that ztunnel should serve. Without a namespace it is told to keep what it has. */
export interface ServedPod {
  readonly pod: ZdsPod;
  /** It is about to end: its peers should move on while it is served. */
  readonly terminating?: boolean;
  readonly netns: number | undefined;
}

export interface ZdsServerOptions {
  readonly path: string;
  /** UIDs of all pods that ztunnel should serve, asked when one connects. */
  readonly uids: () => readonly string[];
  /** The pod as it is at the moment of sending; undefined once it left. */
  readonly served: (uid: string) => ServedPod | undefined;
  /** A ztunnel has taken the whole snapshot. */
  readonly onReady: () => void;
  /** A ztunnel said hello, or one that had is gone: `capabilities` may be others. */
  readonly onChange?: (what: 'hello' | 'gone') => void;
  /** Resolves when a ztunnel that just said hello may be told of pods. */
  readonly beforeSnapshot?: () => Promise<void>;
  readonly log: Log;
  /** For the hello and for each answer; default 5 s. */
  readonly answerTimeoutMs?: number;
}

/** Errors: `cni.no-ztunnel` when nobody is connected or the connection broke, `cni.refused` when ztunnel could not serve the pod. */
export class ZdsServer {
  readonly #options: ZdsServerOptions;
  /** Oldest first. */
  readonly #clients: ZdsClient[] = [];
  #listener: SeqpacketListener | undefined;

  constructor(options: ZdsServerOptions) {
    this.#options = options;
  }

  /** Call it when `uids` is complete: ztunnel drops whatever a snapshot does not name. */
  listen(): void {
    const { path, log } = this.#options;
    this.#listener = listenSeqpacket({
      path,
      maxBytes: zdsPacketBytes,
      onConnection: (connection) => {
        // Old, new and a few that did not end yet; more is a peer out of control.
        if (this.#clients.length >= maxClients) connection.close();
        const client = new ZdsClient(connection, this.#options, () => {
          const latest = this.#clients.findLast(({ greeted }) => greeted);
          const at = this.#clients.indexOf(client);
          if (at >= 0) this.#clients.splice(at, 1);
          if (client === latest) this.#announceAll();
        });
        this.#clients.push(client);
        return client;
      },
      onError: (error) => log.warn('cannot accept a ztunnel', { error: messageOf(error) }),
    });
  }

  /** Ztunnels that said hello. */
  get connected(): number {
    return this.#clients.filter((client) => client.greeted).length;
  }

  /** What each ztunnel that said hello understands beyond plain ZDS, oldest first. */
  get capabilities(): readonly ReadonlySet<string>[] {
    return this.#clients.filter((client) => client.greeted).map((client) => client.capabilities);
  }

  /** Has the most recently connected ztunnel serve the pod; resolves when it does. */
  async add(uid: string): Promise<void> {
    const client = this.#clients.findLast(({ greeted }) => greeted);
    if (!client)
      throw new AmbitError('Cannot announce pod: no ztunnel is connected', {
        code: 'cni.no-ztunnel',
        blame: 'upstream',
      });
    await client.announce(uid);
  }

  /** Tells every ztunnel that understands it that the pod is about to end: its peers should move on while it is served. Never fails. */
  async drain(uid: string): Promise<void> {
    await Promise.allSettled(
      this.#clients
        .filter(({ capabilities }) => capabilities.has('drain'))
        .map((client) => client.ask(() => ({ request: { kind: 'drain', uid } }))),
    );
  }

  /** Tells every ztunnel that the pod left. `served(uid)` answers undefined by now. Never fails: a ztunnel that is gone has no pods. */
  async del(uid: string): Promise<void> {
    await Promise.allSettled(
      this.#clients
        .filter(({ greeted }) => greeted)
        .map((client) => client.ask(() => ({ request: { kind: 'del', uid } }))),
    );
  }

  /** The ztunnel that pods were announced to is gone, and one before it is still there: it does not know the latest. */
  #announceAll(): void {
    const latest = this.#clients.findLast(({ greeted }) => greeted);
    for (const uid of latest ? this.#options.uids() : []) latest?.announce(uid).catch(() => {});
  }

  close(): void {
    this.#listener?.close();
    for (const client of this.#clients) client.close();
  }
}

const maxClients = 8;

interface Packet {
  readonly request: ZdsRequest;
  readonly netns?: number;
}

interface Question {
  /** Made at the moment of sending; undefined: nothing to say any more. */
  readonly packet: () => Packet | undefined;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** One ztunnel: a hello, then one question at a time. */
class ZdsClient {
  readonly #connection: SeqpacketConnection;
  readonly #options: ZdsServerOptions;
  readonly #onGone: () => void;
  readonly #waiting: Question[] = [];
  #asked: Question | undefined;
  #timer: NodeJS.Timeout;
  greeted = false;
  /** The snapshot goes first: until it does, questions wait. */
  #isOpen = false;
  capabilities: ReadonlySet<string> = new Set();
  #gone = false;

  constructor(connection: SeqpacketConnection, options: ZdsServerOptions, onGone: () => void) {
    this.#connection = connection;
    this.#options = options;
    this.#onGone = onGone;
    this.#timer = this.#startTimer('hello');
  }

  announce(uid: string): Promise<void> {
    return this.ask(() => {
      const served = this.#options.served(uid);
      if (!served) return undefined;
      if (served.netns === undefined) return { request: { kind: 'keep', uid } };
      return {
        request: { kind: 'add', uid, pod: this.#fitting(uid, this.#understood(served.pod)) },
        netns: served.netns,
      };
    });
  }

  /** Plain ZDS has neither resolver nor mark. */
  #understood({ resolver, mark, ...plain }: ZdsPod): ZdsPod {
    return {
      ...plain,
      ...(resolver && this.capabilities.has('resolver') ? { resolver } : {}),
      ...(mark !== undefined && this.capabilities.has('mark') ? { mark } : {}),
    };
  }

  /** Long names leave no room for a long search list: rather a pod whose short names are not answered here than one that is not served. */
  #fitting(uid: string, pod: ZdsPod): ZdsPod {
    let { resolver } = pod;
    while (resolver && resolver.search.length > 0 && !fitsZdsPacket({ kind: 'add', uid, pod: { ...pod, resolver } })) {
      resolver = { ...resolver, search: resolver.search.slice(0, -1) };
    }
    if (resolver === pod.resolver || !resolver) return pod;
    this.#options.log.warn("a part of a pod's search list does not fit into ZDS", {
      uid,
      kept: resolver.search.length,
    });
    return { ...pod, resolver };
  }

  /** Resolves when ztunnel answered without error, or when there was nothing to say. */
  ask(packet: () => Packet | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#gone) return reject(connectionLost());
      this.#waiting.push({ packet, resolve, reject });
      this.#askNext();
    });
  }

  onMessage(bytes: Uint8Array, descriptor: number | undefined): void {
    clearTimeout(this.#timer);
    try {
      if (descriptor !== undefined) {
        closeDescriptor(descriptor);
        throw new AmbitError('Cannot accept packet: a ztunnel sends no descriptors', {
          code: 'cni.protocol',
          blame: 'upstream',
        });
      }
      if (!this.greeted) return this.#greet(bytes);
      const question = this.#asked;
      if (!question)
        throw new AmbitError('Cannot accept answer: nothing was asked', { code: 'cni.protocol', blame: 'upstream' });
      const refusal = decodeZdsAck(bytes);
      this.#asked = undefined;
      if (refusal === undefined) question.resolve();
      else
        question.reject(
          new AmbitError(`Cannot have pod served: ztunnel says "${refusal}"`, {
            code: 'cni.refused',
            blame: 'upstream',
          }),
        );
      this.#askNext();
    } catch (error) {
      this.#connection.close(error as Error);
    }
  }

  onClose(error?: Error): void {
    clearTimeout(this.#timer);
    this.#gone = true;
    this.#onGone();
    if (this.greeted) this.#options.onChange?.('gone');
    if (this.greeted) this.#options.log.warn('ztunnel disconnected', error ? { error: messageOf(error) } : {});
    else this.#options.log.warn('a peer left before it said hello', error ? { error: messageOf(error) } : {});
    for (const question of [this.#asked, ...this.#waiting.splice(0)]) question?.reject(connectionLost());
    this.#asked = undefined;
  }

  close(): void {
    this.#connection.close();
  }

  #greet(bytes: Uint8Array): void {
    this.capabilities = decodeZdsHello(bytes);
    this.greeted = true;
    const { log, onChange, beforeSnapshot } = this.#options;
    onChange?.('hello');
    if (!beforeSnapshot) return this.#sendSnapshot();
    beforeSnapshot().then(
      () => {
        if (!this.#gone) this.#sendSnapshot();
      },
      (error: unknown) => {
        log.error('cannot prepare pods for a ztunnel', { error: messageOf(error) });
        this.#connection.close(error as Error);
      },
    );
  }

  #sendSnapshot(): void {
    const { log, uids, served, onReady } = this.#options;
    // Of a pod that comes before the snapshot's end a proxy may believe that somebody else serves it meanwhile.
    const early = this.#waiting.splice(0);
    const snapshot = uids();
    log.info('ztunnel connected', { pods: snapshot.length, capabilities: [...this.capabilities] });
    // A pod that ztunnel refuses blocks no other: ztunnel tries it again by itself.
    for (const uid of snapshot) {
      this.announce(uid).catch((error: unknown) => {
        if (!this.#gone) log.warn('ztunnel cannot serve a pod yet', { uid, error: messageOf(error) });
      });
      if (this.capabilities.has('drain')) {
        this.ask(() => (served(uid)?.terminating === true ? { request: { kind: 'drain', uid } } : undefined)).catch(
          () => {},
        );
      }
    }
    this.ask(() => ({ request: { kind: 'snapshot-sent' } })).then(onReady, () => {});
    this.#waiting.push(...early);
    this.#isOpen = true;
    this.#askNext();
  }

  #askNext(): void {
    while (this.#isOpen && !this.#gone && !this.#asked) {
      const question = this.#waiting.shift();
      if (!question) return;
      try {
        const packet = question.packet();
        if (!packet) {
          question.resolve();
          continue;
        }
        this.#connection.send(encodeZdsRequest(packet.request), packet.netns);
        this.#asked = question;
        this.#timer = this.#startTimer('answer');
      } catch (error) {
        question.reject(error as Error);
      }
    }
  }

  #startTimer(awaited: string): NodeJS.Timeout {
    const timeoutMs = this.#options.answerTimeoutMs ?? 5000;
    return setTimeout(() => {
      const error = new AmbitError(`Cannot go on with ztunnel: no ${awaited} within ${timeoutMs} ms`, {
        code: 'cni.ztunnel-silent',
        blame: 'upstream',
      });
      this.#connection.close(error);
    }, timeoutMs);
  }
}

function connectionLost(): AmbitError {
  return new AmbitError('Cannot announce pod: the ztunnel went away', { code: 'cni.no-ztunnel', blame: 'upstream' });
}
