/** Runs tasks by priority, a bounded number at a time. */

export type IssuePriority = 'realtime' | 'warmup' | 'background';

export interface IssueQueue<T> {
  /** Queues `item`, or moves it up when it waits with a lower priority. Items that run already are left alone. */
  push(item: T, priority: IssuePriority): void;
  /** Drops a waiting item. */
  remove(item: T): void;
}

const order: readonly IssuePriority[] = ['realtime', 'warmup', 'background'];

/** `run` never rejects. */
export function createIssueQueue<T>(concurrency: number, run: (item: T) => Promise<void>): IssueQueue<T> {
  const waiting = new Map(order.map((priority) => [priority, new Set<T>()]));
  const running = new Set<T>();

  const remove = (item: T): void => {
    for (const items of waiting.values()) items.delete(item);
  };
  const next = (): void => {
    while (running.size < concurrency) {
      const item = order
        .flatMap((priority) => [...(waiting.get(priority) ?? [])].slice(0, 1))
        .find((one) => one !== undefined);
      if (item === undefined) return;
      remove(item);
      running.add(item);
      void run(item).finally(() => {
        running.delete(item);
        next();
      });
    }
  };
  return {
    push(item, priority) {
      if (running.has(item)) return;
      const rank = order.indexOf(priority);
      if (order.slice(0, rank).some((higher) => waiting.get(higher)?.has(item))) return;
      remove(item);
      waiting.get(priority)?.add(item);
      next();
    },
    remove,
  };
}
