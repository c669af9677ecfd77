/** One type on one stream, as the server sees it: what the client subscribes to, has, and still has to get. */
import type { DeltaRequest, DeltaResource } from '../wire/index.ts';
import type { ResourceSource, SourceResource } from './source.ts';

export interface OutstandingResponse {
  readonly nonce: string;
  /** Name to version. */
  readonly resources: ReadonlyMap<string, string>;
  readonly removed: readonly string[];
  /** Everything up to this epoch was sent with it, or before; absent when removals still wait. */
  readonly epoch?: number;
}

export interface PendingResponse {
  readonly resources: readonly DeltaResource[];
  readonly removed: readonly string[];
}

/**
 * Keeps at most one response unanswered; meanwhile changes collect by name, so that a slow client costs a name per
 * changed resource and gets only the latest state of each.
 */
export class TypeStream {
  readonly typeUrl: string;
  readonly #source: ResourceSource;
  /** What the client was sent, or said it has: name to version. */
  readonly #sent = new Map<string, string>();
  readonly #names = new Set<string>();
  readonly #dirty = new Set<string>();
  readonly #additions = new Set<string>();
  readonly #removals = new Set<string>();
  #subscribed = false;
  #wildcard = false;
  #allDirty = false;
  /** The first request of a type is answered even when there is nothing to say. */
  #owesAnswer = false;
  #outstanding: OutstandingResponse | undefined;
  #heldEpoch = -1;

  constructor(typeUrl: string, source: ResourceSource) {
    this.typeUrl = typeUrl;
    this.#source = source;
  }

  get outstanding(): OutstandingResponse | undefined {
    return this.#outstanding;
  }

  /** What was published up to this epoch the client has answered; -1 before its first answer. */
  get heldEpoch(): number {
    return this.#heldEpoch;
  }

  get sentCount(): number {
    return this.#sent.size;
  }

  get additionCount(): number {
    return this.#additions.size;
  }

  get hasAdditions(): boolean {
    return this.#owesAnswer || this.#additions.size > 0;
  }

  get hasRemovals(): boolean {
    return this.#removals.size > 0;
  }

  markChanged(names?: Iterable<string>): void {
    if (!this.#subscribed) return;
    if (!names) this.#allDirty = true;
    else if (!this.#allDirty) for (const name of names) this.#dirty.add(name);
  }

  /** Takes the subscription part of a request: legacy wildcard, `*`, single names, versions that the client has. */
  subscribe(request: DeltaRequest): void {
    const first = !this.#subscribed;
    const subscribe = new Set(request.subscribe);
    if (first) {
      this.#subscribed = true;
      this.#owesAnswer = true;
      this.#allDirty = true;
      for (const [name, version] of request.initialVersions) this.#sent.set(name, version);
    }
    const wildcard = this.#wildcard;
    if (subscribe.delete('*') || (first && request.subscribe.length === 0)) this.#wildcard = true;
    if (request.unsubscribe.includes('*')) this.#wildcard = false;
    if (wildcard !== this.#wildcard) this.#allDirty = true;
    for (const name of request.unsubscribe) {
      if (!this.#names.delete(name) || this.#wildcard) continue;
      // The client drops what it unsubscribes by itself: nothing is sent for it.
      for (const known of this.#resolve(name)) if (!this.#inView(known)) this.#sent.delete(known);
    }
    for (const name of subscribe) {
      this.#names.add(name);
      const found = this.#resolve(name);
      // Asked for by name: answered even when the client has it, or there is no such thing.
      for (const known of found) this.#sent.delete(known);
      if (found.length === 0) this.#sent.set(name, '');
      for (const known of found.length === 0 ? [name] : found) this.#dirty.add(known);
    }
  }

  /** Turns changes up to `epoch` into what is to be sent now. Called before `hasAdditions` and `hasRemovals` are read. */
  settle(epoch: number): void {
    const snapshot = this.#source.snapshot();
    if (this.#allDirty) {
      for (const name of snapshot.keys()) this.#dirty.add(name);
      for (const name of this.#sent.keys()) this.#dirty.add(name);
      this.#allDirty = false;
    }
    for (const name of this.#dirty) {
      const resource = snapshot.get(name);
      const wanted = resource !== undefined && this.#inView(name, resource);
      this.#additions.delete(name);
      this.#removals.delete(name);
      if (wanted && this.#sent.get(name) !== resource.version) this.#additions.add(name);
      if (!wanted && this.#sent.has(name)) this.#removals.add(name);
    }
    this.#dirty.clear();
    if (!this.#outstanding && !this.hasAdditions && !this.hasRemovals) this.#heldEpoch = epoch;
  }

  /** The next response, to be sent at once. Only while none is outstanding, and right after `settle`. */
  take(
    nonce: string,
    parts: { readonly additions: boolean; readonly removals: boolean; readonly epoch: number },
  ): PendingResponse {
    const snapshot = this.#source.snapshot();
    const resources: DeltaResource[] = [];
    const removed: string[] = [];
    if (parts.additions) {
      for (const name of this.#additions) {
        const resource = snapshot.get(name);
        if (!resource) continue;
        resources.push({ name, ...resource });
        this.#sent.set(name, resource.version);
      }
      this.#additions.clear();
      this.#owesAnswer = false;
    }
    if (parts.removals) {
      for (const name of this.#removals) {
        removed.push(name);
        this.#sent.delete(name);
      }
      this.#removals.clear();
    }
    this.#outstanding = {
      nonce,
      resources: new Map(resources.map(({ name, version }) => [name, version])),
      removed,
      ...(this.hasAdditions || this.hasRemovals ? {} : { epoch: parts.epoch }),
    };
    return { resources, removed };
  }

  /** The response that the client answered with this request, if it is the outstanding one. */
  answered(nonce: string): OutstandingResponse | undefined {
    const outstanding = this.#outstanding;
    if (nonce === '' || outstanding?.nonce !== nonce) return undefined;
    this.#outstanding = undefined;
    if (outstanding.epoch !== undefined) this.#heldEpoch = outstanding.epoch;
    return outstanding;
  }

  #inView(name: string, resource?: SourceResource): boolean {
    return (
      this.#wildcard || this.#names.has(name) || (resource?.aliases?.some((alias) => this.#names.has(alias)) ?? false)
    );
  }

  /** Names of the resources that go by this name or alias. */
  #resolve(name: string): string[] {
    const snapshot = this.#source.snapshot();
    if (snapshot.has(name)) return [name];
    return [...snapshot].filter(([, { aliases }]) => aliases?.includes(name)).map(([known]) => known);
  }
}
