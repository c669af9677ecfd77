/** One stream of the delta server: requests in, responses out in an order in which references always resolve. */
import type { RpcServerStream } from '../rpc/index.ts';
import type { DeltaRequest, DeltaResponse } from '../wire/index.ts';
import type { PushSlot, PushSlots } from './push-slots.ts';
import type { ResourceSource } from './source.ts';
import { TypeStream, type OutstandingResponse } from './type-stream.ts';

/** A type as one client is served it. */
export interface DeltaSessionType {
  readonly typeUrl: string;
  readonly source: ResourceSource;
  readonly isTransaction?: boolean;
}

/** What a client made of one response. */
export interface DeltaAnswer {
  readonly typeUrl: string;
  readonly nonce: string;
  /** Name to version of what the response carried. */
  readonly resources: ReadonlyMap<string, string>;
  readonly removed: readonly string[];
  /** Present when the client refused, at least in part. */
  readonly refusal?: string;
}

export interface DeltaTypeStatus {
  readonly typeUrl: string;
  readonly resourceCount: number;
  /** A response is on its way, or was never answered. */
  readonly outstanding: boolean;
  /** What the client refused last; of a transaction, the name is `*`. */
  readonly refused: readonly { readonly name: string; readonly reason: string }[];
}

export interface ServerSessionOptions {
  readonly types: readonly DeltaSessionType[];
  readonly stream: RpcServerStream<DeltaRequest, DeltaResponse>;
  /** Shared by all sessions. */
  readonly slots: PushSlots;
  readonly onAnswer: (answer: DeltaAnswer) => void;
  /** What was published last. */
  readonly epoch: () => number;
  /** `heldEpoch` or `refused` has changed. */
  readonly onProgress: () => void;
}

/** A response with more additions than this needs a slot: some 100 KB of workloads. */
const largeResponse = 500;

export class ServerSession {
  readonly #options: ServerSessionOptions;
  /** In push order: what comes later may refer to what comes earlier. */
  readonly #types: readonly TypeStream[];
  #removals: (() => void)[] = [];
  #pumping: NodeJS.Immediate | undefined;
  /** Of large responses that were not answered yet. */
  readonly #held = new Map<TypeStream, PushSlot>();
  readonly #onFreeSlot = (): void => this.#schedule();
  /** By type and name: what the client refused last, and why. */
  readonly #refused = new Map<string, ReadonlyMap<string, string>>();
  readonly #transactions: ReadonlySet<string>;
  #heldEpoch = -1;
  #nonce = 0;
  #full = false;

  constructor(options: ServerSessionOptions) {
    this.#options = options;
    this.#types = options.types.map(({ typeUrl, source }) => new TypeStream(typeUrl, source));
    this.#transactions = new Set(options.types.filter((type) => type.isTransaction).map(({ typeUrl }) => typeUrl));
  }

  start(): void {
    this.#removals = this.#options.types.map(({ source }, i) =>
      source.subscribe((names) => {
        this.#types[i]?.markChanged(names);
        this.#schedule();
      }),
    );
  }

  stop(): void {
    for (const remove of this.#removals) remove();
    clearImmediate(this.#pumping);
    this.#removals = [];
    this.#options.slots.forget(this.#onFreeSlot);
    for (const slot of this.#held.values()) slot.release();
  }

  /** The client has answered all that was published up to this epoch; -1 until it has the first of each type. */
  get heldEpoch(): number {
    return this.#heldEpoch;
  }

  /** Names of a type that the client refused, with its reason; of a transaction, the name is `*`. */
  refused(typeUrl: string): ReadonlyMap<string, string> {
    return this.#refused.get(typeUrl) ?? noRefusals;
  }

  /** Something was published, perhaps of no interest here. */
  published(): void {
    this.#schedule();
  }

  status(): DeltaTypeStatus[] {
    return this.#types.map(({ typeUrl, sentCount, outstanding }) => ({
      typeUrl,
      resourceCount: sentCount,
      outstanding: outstanding !== undefined,
      refused: [...this.refused(typeUrl)].map(([name, reason]) => ({ name, reason })),
    }));
  }

  /** Types that this server does not have are left unanswered. */
  request(request: DeltaRequest): void {
    const type = this.#types.find(({ typeUrl }) => typeUrl === request.typeUrl);
    if (!type) return;
    const answered = type.answered(request.responseNonce);
    if (answered) {
      this.#held.get(type)?.release();
      this.#held.delete(type);
      if (this.#transactions.has(type.typeUrl)) this.#noteTransaction(type.typeUrl, request.refusal);
      else this.#noteRefusals(type.typeUrl, answered, request.refusal);
      this.#options.onAnswer(answerOf(type.typeUrl, answered, request.refusal));
    }
    // An answer that changes no subscription must not count as a first, wildcard subscription.
    if (request.responseNonce === '' || request.subscribe.length > 0 || request.unsubscribe.length > 0) {
      type.subscribe(request);
    }
    this.#schedule();
  }

  drained(): void {
    this.#full = false;
    this.#schedule();
  }

  /** Changes of one turn of the loop go together, so that a policy and the address that names it keep their order. */
  #schedule(): void {
    this.#pumping ??= setImmediate(() => {
      this.#pumping = undefined;
      this.#pump();
    });
  }

  #pump(): void {
    const epoch = this.#options.epoch();
    for (const type of this.#types) type.settle(epoch);
    this.#sendWaiting(epoch);
    const held = Math.min(...this.#types.map(({ heldEpoch }) => heldEpoch));
    if (held === this.#heldEpoch) return;
    this.#heldEpoch = held;
    this.#options.onProgress();
  }

  /** An answer to one response speaks for all that the client was told of the type. */
  #noteTransaction(typeUrl: string, refusal: string | undefined): void {
    const before = this.#refused.get(typeUrl)?.get(wholeType);
    if (before === refusal) return;
    this.#refused.set(typeUrl, refusal === undefined ? noRefusals : new Map([[wholeType, refusal]]));
    this.#options.onProgress();
  }

  #noteRefusals(typeUrl: string, answered: OutstandingResponse, refusal: string | undefined): void {
    const refused = new Map(this.#refused.get(typeUrl));
    const before = refused.size;
    for (const name of answered.removed) refused.delete(name);
    const names = [...answered.resources.keys()];
    // A client says in words what it refuses; where it names nothing of the response, all of it is in doubt.
    const named = refusal === undefined ? [] : names.filter((name) => refusal.includes(name));
    const doubtful = new Set(refusal !== undefined && named.length === 0 ? names : named);
    for (const name of names) {
      if (doubtful.has(name)) refused.set(name, refusal ?? '');
      else refused.delete(name);
    }
    this.#refused.set(typeUrl, refused);
    if (before + refused.size > 0) this.#options.onProgress();
  }

  #sendWaiting(epoch: number): void {
    const last = this.#types.at(-1);
    for (const type of this.#types) {
      if (!type.hasAdditions) continue;
      // Later types wait too: they may refer to what waits here.
      if (!this.#send(type, { additions: true, removals: type === last, epoch })) return;
    }
    for (const type of this.#types.toReversed()) {
      if (type.hasRemovals && !this.#send(type, { additions: false, removals: true, epoch })) return;
    }
  }

  #send(type: TypeStream, parts: { additions: boolean; removals: boolean; epoch: number }): boolean {
    if (type.outstanding || this.#full) return false;
    if (parts.additions && type.additionCount > largeResponse) {
      const slot = this.#options.slots.take(this.#onFreeSlot);
      if (!slot) return false;
      this.#held.set(type, slot);
    }
    const nonce = String(++this.#nonce);
    this.#full = !this.#options.stream.write({ typeUrl: type.typeUrl, nonce, ...type.take(nonce, parts) });
    return true;
  }
}

/** Stands for all names of a type. */
const wholeType = '*';
const noRefusals: ReadonlyMap<string, string> = new Map();

function answerOf(typeUrl: string, { nonce, resources, removed }: OutstandingResponse, refusal?: string): DeltaAnswer {
  return { typeUrl, nonce, resources, removed, ...(refusal === undefined ? {} : { refusal }) };
}
