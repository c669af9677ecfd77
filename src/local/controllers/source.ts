/** One informer that several controllers listen to. */
import type { KindRef, KubeObject } from '../../api/index.ts';
import { startInformer, type KubeClient } from '../../kube/index.ts';
import type { Log } from '../../lib/log.ts';

/** `before` is absent when the object is new, `after` when it is gone. */
export type ChangeHandler<T> = (after: T | undefined, before: T | undefined) => void;

export interface Source<T extends KubeObject> {
  readonly kind: KindRef<T>;
  /** By `namespace/name`, or `name`. */
  readonly store: ReadonlyMap<string, T>;
  readonly synced: Promise<void>;
  /** Handlers must be added before the next tick, so that they hear of everything. */
  onChange(handler: ChangeHandler<T>): void;
}

export interface SourceOptions {
  readonly client: KubeClient;
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly fieldSelector?: string;
}

export function openSource<T extends KubeObject>(kind: KindRef<T>, options: SourceOptions): Source<T> {
  const handlers: ChangeHandler<T>[] = [];
  const tell: ChangeHandler<T> = (after, before) => {
    for (const handler of handlers) handler(after, before);
  };
  const { store, synced } = startInformer(options.client, kind, {
    signal: options.signal,
    log: options.log,
    ...(options.fieldSelector !== undefined && { fieldSelector: options.fieldSelector }),
    onAdd: (object) => tell(object, undefined),
    onUpdate: (before, after) => tell(after, before),
    onDelete: (object) => tell(undefined, object),
  });
  return { kind, store, synced, onChange: (handler) => void handlers.push(handler) };
}
