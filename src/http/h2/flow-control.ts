/** Receive side of flow control: stream windows that grow while drained, and budgets over session and process. */
import type { Clock } from '../../lib/clock.ts';
import type { Http2Limits } from './limits.ts';

export interface ReceiveBudgetOptions {
  /** Bytes received and not yet credited, over all sessions that share the budget. */
  readonly heldBytes: number;
  /** Window growth beyond the initial windows, over all sessions. */
  readonly windowGrowth: number;
}

/** While the budget of the process is used up, a session whose readers keep pace still gets this much window. */
const exhaustedShareBytes = 256 * 1024;

/** What all sessions of a process together may hold in memory for readers that lag. */
export class ReceiveBudget {
  readonly #options: ReceiveBudgetOptions;
  #held = 0;
  #growth = 0;
  /** Sessions that were given less than they are owed. */
  readonly #waiting = new Set<ConnectionReceiveWindow>();

  constructor(options: Partial<ReceiveBudgetOptions> = {}) {
    this.#options = { heldBytes: 64 * 1024 * 1024, windowGrowth: 32 * 1024 * 1024, ...options };
  }

  get heldBytes(): number {
    return this.#held;
  }

  get exhausted(): boolean {
    return this.#held > this.#options.heldBytes;
  }

  hold(byteCount: number): void {
    this.#held += byteCount;
  }

  release(byteCount: number): void {
    this.#held -= byteCount;
    if (this.#waiting.size === 0 || this.exhausted) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const window of waiting) window.update();
  }

  /** `window` asks again once the budget holds. */
  wait(window: ConnectionReceiveWindow): void {
    this.#waiting.add(window);
  }

  forget(window: ConnectionReceiveWindow): void {
    this.#waiting.delete(window);
  }

  takeGrowth(byteCount: number): boolean {
    if (this.#growth + byteCount > this.#options.windowGrowth) return false;
    this.#growth += byteCount;
    return true;
  }

  returnGrowth(byteCount: number): void {
    this.#growth -= byteCount;
  }
}

/** The budget of sessions that name none: one for the thread. */
export const sharedReceiveBudget: ReceiveBudget = new ReceiveBudget();

export interface ConnectionReceiveOptions {
  readonly limits: Http2Limits;
  readonly budget: ReceiveBudget;
  readonly clock: Clock;
  /** Sends WINDOW_UPDATE on stream 0. */
  readonly sendUpdate: (increment: number) => void;
}

/** The connection's window: credited on arrival while the budgets hold, else when readers catch up. */
export class ConnectionReceiveWindow {
  readonly limits: Http2Limits;
  readonly clock: Clock;
  readonly #budget: ReceiveBudget;
  readonly #sendUpdate: (increment: number) => void;
  #available: number;
  #unreturned = 0;
  #held = 0;
  #growth = 0;

  constructor(options: ConnectionReceiveOptions) {
    this.limits = options.limits;
    this.clock = options.clock;
    this.#budget = options.budget;
    this.#sendUpdate = options.sendUpdate;
    this.#available = options.limits.connectionWindow;
  }

  get heldBytes(): number {
    return this.#held;
  }

  /** A DATA frame of that length (padding included) came; false when the peer overran the window. */
  receive(byteCount: number): boolean {
    this.#available -= byteCount;
    if (this.#available < 0) return false;
    this.#unreturned += byteCount;
    if (this.#unreturned >= this.limits.connectionWindow >>> 1) this.update();
    return true;
  }

  hold(byteCount: number): void {
    this.#held += byteCount;
    this.#budget.hold(byteCount);
  }

  release(byteCount: number): void {
    this.#held -= byteCount;
    this.#budget.release(byteCount);
    if (this.#unreturned >= this.limits.connectionWindow >>> 1) this.update();
  }

  /** Returns what was received, as far as the budgets allow. */
  update(): void {
    if (this.#unreturned === 0 || this.#held > this.limits.sessionHeldBytes) return;
    let increment = this.#unreturned;
    if (this.#budget.exhausted) {
      const allowance = exhaustedShareBytes - this.#held - this.#available;
      if (allowance < exhaustedShareBytes / 4) {
        this.#budget.wait(this);
        return;
      }
      increment = Math.min(increment, allowance);
    }
    this.#available += increment;
    this.#unreturned -= increment;
    this.#sendUpdate(increment);
  }

  takeGrowth(byteCount: number): boolean {
    if (this.#growth + byteCount > this.limits.sessionWindowGrowth || !this.#budget.takeGrowth(byteCount)) return false;
    this.#growth += byteCount;
    return true;
  }

  returnGrowth(byteCount: number): void {
    this.#growth -= byteCount;
    this.#budget.returnGrowth(byteCount);
  }

  /** The session is over: nothing is held any more. */
  dispose(): void {
    this.#budget.release(this.#held);
    this.#budget.returnGrowth(this.#growth);
    this.#budget.forget(this);
    this.#held = 0;
    this.#growth = 0;
    this.#unreturned = 0;
  }
}

/** A half window drained faster than this asks for a larger one. */
const growWithinMs = 250;

/** One stream's window: returned at half, and doubled when the reader drained it all, and quickly. */
export class StreamReceiveWindow {
  readonly #connection: ConnectionReceiveWindow;
  #size: number;
  #available: number;
  #held = 0;
  #unreturned = 0;
  #updatedAtMs = 0;

  constructor(connection: ConnectionReceiveWindow) {
    this.#connection = connection;
    this.#size = connection.limits.initialStreamWindow;
    this.#available = this.#size;
  }

  get size(): number {
    return this.#size;
  }

  /** A DATA frame of that length (padding included) came; false when the peer overran the window. */
  receive(byteCount: number): boolean {
    this.#available -= byteCount;
    this.#held += byteCount;
    this.#connection.hold(byteCount);
    return this.#available >= 0;
  }

  /** The reader is done with so many bytes; the increment to send now, or 0. */
  credit(byteCount: number): number {
    const credited = Math.min(byteCount, this.#held);
    this.#held -= credited;
    this.#connection.release(credited);
    this.#unreturned += credited;
    if (this.#unreturned < this.#size >>> 1) return 0;
    const nowMs = this.#connection.clock.nowMs();
    let increment = this.#unreturned;
    if (this.#held === 0 && nowMs - this.#updatedAtMs < growWithinMs) increment += this.#grow();
    this.#updatedAtMs = nowMs;
    this.#unreturned = 0;
    this.#available += increment;
    return increment;
  }

  dispose(): void {
    this.#connection.release(this.#held);
    this.#connection.returnGrowth(this.#size - this.#connection.limits.initialStreamWindow);
    this.#held = 0;
    this.#size = this.#connection.limits.initialStreamWindow;
  }

  #grow(): number {
    const step = Math.min(this.#size, this.#connection.limits.maxStreamWindow - this.#size);
    if (step <= 0 || !this.#connection.takeGrowth(step)) return 0;
    this.#size += step;
    return step;
  }
}
