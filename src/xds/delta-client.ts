/** A delta xDS client that stays: it reconnects, keeps what it has meanwhile, and says what it refused and why. */
import { createBackoff } from '../lib/backoff.ts';
import { sleep } from '../lib/clock.ts';
import { messageOf, type AmbitError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { createRpcChannel, type RpcChannel, type RpcClientStream } from '../rpc/index.ts';
import {
  deltaDiscoveryMethod,
  type DeltaRequest,
  type DeltaResource,
  type DeltaResponse,
  type DiscoveryNode,
} from '../wire/index.ts';

/** One response. Additions come before removals, each in the order of the wire. */
export interface DeltaUpdate {
  readonly added: readonly DeltaResource[];
  readonly removed: readonly string[];
}

export interface DeltaVerdict {
  /** What was not taken; the rest was. The server is told, and the last accepted version stays in force. */
  readonly rejected: readonly { readonly name: string; readonly reason: string }[];
  /** What the server is told, where it is not one reason for each that was rejected. */
  readonly refusal?: string;
}

export interface DeltaFeed {
  readonly typeUrl: string;
  /** A throw or rejection counts as refusing all of it. Until a promise has settled, no feed is told anything more. */
  readonly apply: (update: DeltaUpdate) => DeltaVerdict | Promise<DeltaVerdict>;
}

/** One that is done at once. */
export interface DeltaClientType extends DeltaFeed {
  readonly apply: (update: DeltaUpdate) => DeltaVerdict;
}

/**
 * How a connection ended, in upstream's words: it was never there; by an error; because the server wants us to come again; in order.
 */
export type DeltaTermination = 'ConnectionError' | 'Error' | 'Reconnect' | 'Complete';

export interface DeltaClientOptions {
  /** `https://host:port` */
  readonly address: string;
  readonly tlsServerName?: string;
  /** Read again at every connect, like the token. */
  readonly rootCertPath: string;
  readonly tokenPath: string;
  readonly clusterId: string;
  readonly node: DiscoveryNode;
  /** Subscribed in this order, all of each: what others refer to comes first. */
  readonly types: readonly DeltaFeed[];
  /** Once: the first response of each type was applied. What was rejected in it is the business of `apply`. */
  readonly onSynced?: () => void;
  /** A connection ended, or did not begin. */
  readonly onTermination?: (reason: DeltaTermination) => void;
  readonly log: Log;
  /** Ends the client. */
  readonly signal: AbortSignal;
}

export interface DeltaClientStatus {
  readonly connected: boolean;
  readonly synced: boolean;
  /** Of the last connection that failed. */
  readonly lastError?: string;
  readonly resources: Readonly<Record<string, number>>;
}

export interface DeltaClient {
  status(): DeltaClientStatus;
  /** Resolves after the signal aborted and the stream is closed. */
  readonly done: Promise<void>;
}

/** A server that accepts the connection but says nothing is given up after this long. */
const silenceTimeoutMs = 15_000;

export function startDeltaClient(options: DeltaClientOptions): DeltaClient {
  const client = new Client(options);
  const done = client.run();
  return { status: () => client.status(), done };
}

interface HeldType {
  readonly type: DeltaFeed;
  /** Name to version of what was accepted, '' for what was only refused. It outlives connections. */
  readonly versions: Map<string, string>;
  synced: boolean;
}

/** gRPC's codes for "come again": the server restarts, or limits the age of connections. */
const comeAgain: readonly (string | undefined)[] = [
  'rpc.unavailable',
  'rpc.cancelled',
  'rpc.deadline-exceeded',
  'rpc.unknown',
];

function terminationOf(error: AmbitError | undefined, wasConnected: boolean): DeltaTermination {
  if (!error) return 'Complete';
  if (!wasConnected) return 'ConnectionError';
  return comeAgain.includes(error.code) ? 'Reconnect' : 'Error';
}

class Client {
  readonly #options: DeltaClientOptions;
  readonly #channel: RpcChannel;
  readonly #held: ReadonlyMap<string, HeldType>;
  readonly #backoff = createBackoff({ initialMs: 10, maxMs: 15_000 });
  #connected = false;
  #synced = false;
  /** What is being applied, and all that waits for it, in the order of the wire; undefined: nothing. */
  #applying: Promise<void> | undefined;
  #lastError: string | undefined;

  constructor(options: DeltaClientOptions) {
    const { address, tlsServerName, rootCertPath, tokenPath, clusterId } = options;
    this.#options = options;
    this.#channel = createRpcChannel({
      address,
      rootCertPath,
      tokenPath,
      ...(tlsServerName === undefined ? {} : { tlsServerName }),
      metadata: { clusterid: clusterId },
    });
    this.#held = new Map(
      options.types.map((type) => [type.typeUrl, { type, versions: new Map<string, string>(), synced: false }]),
    );
  }

  status(): DeltaClientStatus {
    return {
      connected: this.#connected,
      synced: this.#synced,
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
      resources: Object.fromEntries([...this.#held].map(([typeUrl, { versions }]) => [typeUrl, versions.size])),
    };
  }

  async run(): Promise<void> {
    const { signal, log } = this.#options;
    const ended = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    while (!signal.aborted) {
      const error = await this.#connection();
      // The next server must hear of all that is held here, or it will never say that it is gone.
      await Promise.race([this.#applying, ended]);
      const wasConnected = this.#connected;
      this.#connected = false;
      if (signal.aborted) break;
      this.#options.onTermination?.(terminationOf(error, wasConnected));
      this.#lastError = error ? messageOf(error) : 'the server ended the stream';
      const retryInMs = Math.round(this.#backoff.next());
      log.warn('discovery connection lost', { error: this.#lastError, retryInMs });
      this.#channel.reset();
      await sleep(retryInMs, signal);
    }
    this.#channel.close();
  }

  /** Lives as long as one stream; resolves with why it ended. */
  #connection(): Promise<AmbitError | undefined> {
    const { signal } = this.#options;
    return new Promise((resolve) => {
      let stream: RpcClientStream<DeltaRequest> | undefined;
      const silence = setTimeout(() => stream?.cancel(), silenceTimeoutMs);
      const onAbort = (): void => stream?.cancel();
      const finish = (error?: AmbitError): void => {
        stream = undefined;
        clearTimeout(silence);
        signal.removeEventListener('abort', onAbort);
        resolve(error);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      const reader = {
        onOpen: () => this.#opened(silence),
        onMessage: (response: DeltaResponse) => {
          this.#opened(silence);
          this.#backoff.reset();
          this.#inOrder(() =>
            this.#apply(response, (answer) => {
              stream?.write(answer);
              this.#checkSynced();
            }),
          );
        },
        onClose: finish,
      };
      this.#channel.stream(deltaDiscoveryMethod, reader).then((opened) => {
        stream = opened;
        if (signal.aborted) return stream.cancel();
        this.#subscribe(stream);
      }, finish);
    });
  }

  #opened(silence: NodeJS.Timeout): void {
    clearTimeout(silence);
    if (this.#connected) return;
    this.#connected = true;
    this.#options.log.info('discovery connected', { address: this.#options.address });
  }

  #subscribe(stream: RpcClientStream<DeltaRequest>): void {
    let first = true;
    for (const { type, versions } of this.#held.values()) {
      stream.write({
        ...(first ? { node: this.#options.node } : {}),
        typeUrl: type.typeUrl,
        subscribe: [],
        unsubscribe: [],
        initialVersions: versions,
        responseNonce: '',
      });
      first = false;
    }
  }

  /** At once where that is possible: what takes no time costs no turn. */
  #inOrder(run: () => Promise<void> | undefined): void {
    const running = this.#applying ? this.#applying.then(run) : run();
    if (!running) return;
    const applying: Promise<void> = running.then(() => {
      if (this.#applying === applying) this.#applying = undefined;
    });
    this.#applying = applying;
  }

  /** Answers a response; one of a type that was not asked for gets none. */
  #apply(response: DeltaResponse, answer: (request: DeltaRequest) => void): Promise<void> | undefined {
    const held = this.#held.get(response.typeUrl);
    if (!held) return undefined;
    const verdict = this.#verdict(held.type, response);
    if (!(verdict instanceof Promise)) {
      answer(this.#settle(held, response, verdict));
      return undefined;
    }
    return verdict.then((later) => answer(this.#settle(held, response, later)));
  }

  #settle(held: HeldType, response: DeltaResponse, verdict: DeltaVerdict): DeltaRequest {
    const { typeUrl, nonce, resources, removed } = response;
    const rejected = new Map(verdict.rejected.map(({ name, reason }) => [name, reason]));
    // What was rejected has no version: after a lost connection we are told again, whatever it is then, or that it is gone.
    for (const { name, version } of resources) held.versions.set(name, rejected.has(name) ? '' : version);
    for (const name of removed) {
      if (rejected.has(name)) held.versions.set(name, '');
      else held.versions.delete(name);
    }
    held.synced = true;
    const refusal = verdict.refusal ?? [...rejected].map(([name, reason]) => `${name}: ${reason}`).join('; ');
    if (refusal !== '')
      this.#options.log.warn('discovery response refused in part', { type: typeUrl, reason: refusal });
    return {
      typeUrl,
      subscribe: [],
      unsubscribe: [],
      initialVersions: new Map(),
      responseNonce: nonce,
      ...(refusal === '' ? {} : { refusal }),
    };
  }

  #verdict(type: DeltaFeed, { resources, removed }: DeltaResponse): DeltaVerdict | Promise<DeltaVerdict> {
    const failed = (error: unknown): DeltaVerdict => {
      this.#options.log.error('discovery response not applied', { type: type.typeUrl, error: messageOf(error) });
      const reason = `not applied: ${messageOf(error)}`;
      return { rejected: [...resources.map(({ name }) => name), ...removed].map((name) => ({ name, reason })) };
    };
    try {
      const verdict = type.apply({ added: resources, removed });
      return verdict instanceof Promise ? verdict.catch(failed) : verdict;
    } catch (error) {
      return failed(error);
    }
  }

  #checkSynced(): void {
    if (this.#synced || [...this.#held.values()].some(({ synced }) => !synced)) return;
    this.#synced = true;
    this.#options.onSynced?.();
  }
}
