/** The window of past events: what watches that resume replay, and what lists of an earlier revision roll back. */
import type { Stored, StoreEvent } from './store.ts';

export interface HistoryBounds {
  /** Events kept at most. */
  readonly events: number;
  /** Bytes of JSON kept at most, counted once an event. */
  readonly bytes: number;
}

/** Events in the order of their revisions, without gaps, from after `compacted` to the newest. */
export class EventHistory {
  readonly #bounds: HistoryBounds;
  #events: StoreEvent[];
  #bytes: number;
  #compacted: number;

  constructor(events: readonly StoreEvent[], compacted: number, bounds: HistoryBounds) {
    this.#bounds = bounds;
    this.#events = [...events];
    this.#compacted = compacted;
    this.#bytes = events.reduce((sum, event) => sum + event.current.json.length, 0);
    this.#compact();
  }

  /** Events at or before this revision are gone. */
  get compacted(): number {
    return this.#compacted;
  }

  add(event: StoreEvent): void {
    this.#events.push(event);
    this.#bytes += event.current.json.length;
    this.#compact();
  }

  /** The events after a revision, which must not be before `compacted`. */
  *after(revision: number, resource: string): Generator<StoreEvent> {
    for (let i = this.#indexAfter(revision); i < this.#events.length; i++) {
      const event = this.#events[i];
      if (event?.current.resource === resource) yield event;
    }
  }

  /** `items` of now as they were at a revision, which must not be before `compacted`. In no order. */
  rollBack(items: readonly Stored[], resource: string, revision: number): Stored[] {
    const state = new Map(items.map((stored) => [keyOf(stored), stored]));
    for (let i = this.#events.length - 1; i >= 0; i--) {
      const event = this.#events[i];
      if (event === undefined || event.revision <= revision) break;
      if (event.current.resource !== resource) continue;
      if (event.previous) state.set(keyOf(event.previous), event.previous);
      else state.delete(keyOf(event.current));
    }
    return [...state.values()];
  }

  /** Dropping the older half at once keeps the cost per event constant. */
  #compact(): void {
    const { events, bytes } = this.#bounds;
    if (this.#events.length <= events && this.#bytes <= bytes) return;
    let dropped = 0;
    while (
      dropped < this.#events.length &&
      (this.#events.length - dropped > Math.ceil(events / 2) || this.#bytes > bytes / 2)
    ) {
      const event = this.#events[dropped++];
      this.#bytes -= event?.current.json.length ?? 0;
      this.#compacted = event?.revision ?? this.#compacted;
    }
    this.#events = this.#events.slice(dropped);
  }

  #indexAfter(revision: number): number {
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#events[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function keyOf({ object: { metadata } }: Stored): string {
  return `${metadata.namespace ?? ''}/${metadata.name ?? ''}`;
}
