/** ztunnel's end of the listener holder: takes what is held, and has held what it accepts from. */
import { createBackoff } from '../../lib/backoff.ts';
import { sleep, type Clock } from '../../lib/clock.ts';
import { AmbitError, codeOf, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { closeDescriptor, connectSeqpacket, isListening, type SeqpacketConnection } from '../../net/index.ts';
import {
  decodeHolderMessage,
  encodeHolderPacket,
  holderPacketBytes,
  type HeldSocketName,
  type HolderMessage,
  type HolderRequest,
} from '../../wire/listener-holder.ts';

export interface HolderClientOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
  /** A holder that takes longer to answer is left; default 3 s. */
  readonly answerTimeoutMs?: number;
}

type Request = HolderRequest extends infer R ? (R extends HolderRequest ? Omit<R, 'id'> : never) : never;
type Answer = Extract<HolderMessage, { kind: 'answer' }> & { readonly fd?: number };

interface Question {
  readonly request: Request;
  /** Made at the moment of sending. */
  readonly fd?: () => number | undefined;
  /** Undefined: there was none. */
  readonly answer: (answer: Answer | undefined) => void;
  /** Ends the wait for an answer, once it was sent. */
  cancelTimeout: () => void;
}

/** Few enough for the kernel's queue of a socket. */
const maxAsked = 16;

/** Works as well without a holder: then nothing is held, and questions are answered with no. */
export class HolderClient {
  readonly #options: HolderClientOptions;
  readonly #ended = new AbortController();
  /** What we accept from, by pod: ours, sent again whenever the holder asks for it. */
  readonly #served = new Map<string, readonly { readonly name: HeldSocketName; readonly fd: number }[]>();
  readonly #waiting: Question[] = [];
  readonly #asked = new Map<number, Question>();
  #connection: SeqpacketConnection | undefined;
  #allowed = false;
  #nextId = 1;
  readonly #done: Promise<void>;

  /** Connects at once if somebody listens, and again after every end. */
  constructor(options: HolderClientOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  /** We accept from these sockets of a pod; the descriptors stay the caller's, who says `release` before it closes them. */
  hold(pod: string, sockets: readonly { readonly name: HeldSocketName; readonly fd: number }[]): void {
    this.#served.set(pod, sockets);
    if (this.#allowed) this.#sendServed(pod);
  }

  /** We stopped to accept, and nobody else should: the pod left. */
  release(pod: string): void {
    if (!this.#served.delete(pod)) return;
    void this.#ask({ kind: 'drop', pod });
  }

  /** The held socket of that name, the caller's from now on. */
  async take(socket: HeldSocketName): Promise<number | undefined> {
    const answer = await this.#ask({ kind: 'take', socket });
    if (answer?.fd === undefined || isListening(answer.fd)) return answer?.fd;
    closeDescriptor(answer.fd);
    return undefined;
  }

  /** Whether it is held, and whether another ztunnel accepts from it. */
  async look(socket: HeldSocketName): Promise<{ readonly held: boolean; readonly accepted: boolean }> {
    const answer = await this.#ask({ kind: 'look', socket });
    return { held: answer?.held ?? false, accepted: answer?.accepted ?? false };
  }

  /** We accept from nothing any more: the holder keeps our sockets for a successor. */
  async close(): Promise<void> {
    this.#ended.abort();
    this.#served.clear();
    this.#connection?.close();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { log } = this.#options;
    const backoff = createBackoff({ initialMs: 100, maxMs: 5000 });
    while (!this.#ended.signal.aborted) {
      try {
        await this.#connect(() => backoff.reset());
      } catch (error) {
        const absent = codeOf(error)?.endsWith('enoent') === true || codeOf(error)?.endsWith('econnrefused') === true;
        log[absent ? 'debug' : 'warn']('listener holder connection failed', { error: messageOf(error) });
      }
      await sleep(backoff.next(), this.#ended.signal);
    }
  }

  #connect(onWelcome: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const connection = connectSeqpacket({
        path: this.#options.path,
        maxBytes: holderPacketBytes,
        onMessage: (bytes, fd) => {
          try {
            this.#receive(decodeHolderMessage(bytes), fd, onWelcome);
          } catch (error) {
            if (fd !== undefined) closeDescriptor(fd);
            connection.close(error as Error);
          }
        },
        onClose: (error) => {
          this.#connection = undefined;
          this.#allowed = false;
          const lost = [...this.#asked.values(), ...this.#waiting.splice(0)];
          this.#asked.clear();
          for (const question of lost) {
            question.cancelTimeout();
            question.answer(undefined);
          }
          if (error) reject(error);
          else resolve();
        },
      });
      this.#connection = connection;
      this.#sendWaiting();
    });
  }

  #receive(message: HolderMessage, fd: number | undefined, onWelcome: () => void): void {
    if (message.kind === 'allowed') {
      onWelcome();
      if (fd !== undefined) closeDescriptor(fd);
      this.#allowed = message.allowed;
      if (message.allowed) for (const pod of this.#served.keys()) this.#sendServed(pod);
      return;
    }
    const question = this.#asked.get(message.id);
    question?.cancelTimeout();
    this.#asked.delete(message.id);
    if (question) question.answer({ ...message, ...(fd === undefined ? {} : { fd }) });
    else if (fd !== undefined) closeDescriptor(fd);
    this.#sendWaiting();
  }

  #sendServed(pod: string): void {
    for (const socket of this.#served.get(pod) ?? []) {
      // It may be released while the question waits.
      const fd = (): number | undefined => (this.#served.get(pod)?.includes(socket) ? socket.fd : undefined);
      void this.#ask({ kind: 'hold', socket: socket.name }, fd);
    }
  }

  /** Without a holder there is no answer. */
  #ask(request: Request, fd?: () => number | undefined): Promise<Answer | undefined> {
    if (!this.#connection) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#waiting.push({ request, answer: resolve, cancelTimeout: () => {}, ...(fd ? { fd } : {}) });
      this.#sendWaiting();
    });
  }

  #sendWaiting(): void {
    const { clock, answerTimeoutMs = 3000 } = this.#options;
    while (this.#connection && this.#asked.size < maxAsked) {
      const connection = this.#connection;
      const question = this.#waiting.shift();
      if (!question) return;
      const fd = question.fd?.();
      if (question.fd && fd === undefined) {
        question.answer(undefined);
        continue;
      }
      const id = this.#nextId++;
      this.#asked.set(id, question);
      question.cancelTimeout = clock.after(answerTimeoutMs, () => connection.close(noAnswer(answerTimeoutMs)));
      try {
        connection.send(encodeHolderPacket({ ...question.request, id } as HolderRequest), fd);
      } catch (error) {
        // Its end answers the question.
        connection.close(error as Error);
        return;
      }
    }
  }
}

function noAnswer(afterMs: number): AmbitError {
  return new AmbitError(`Cannot go on with the listener holder: no answer within ${afterMs} ms`, {
    code: 'holder.silent',
    blame: 'upstream',
  });
}
