/** The descriptors that a pod to serve comes with, duplicated and closed together. */
import { closeDescriptor, closeNetns, duplicateDescriptor } from '../net/index.ts';
import type { PodListeners, PodToServe } from './messages.ts';

/** All of them or, where one cannot be had, none: it throws `net.*`. */
export function duplicateListeners(listeners: PodListeners): PodListeners {
  const copies: Record<string, number> = {};
  try {
    for (const [name, fd] of Object.entries(listeners)) copies[name] = duplicateDescriptor(fd);
  } catch (error) {
    closeListeners(copies as unknown as PodListeners);
    throw error;
  }
  return copies as unknown as PodListeners;
}

export function closeListeners(listeners: PodListeners): void {
  for (const fd of Object.values(listeners)) closeDescriptor(fd as number);
}

/** The same pod with descriptors of its own; `openNetns` gives the one of the namespace. Leaves nothing open when it throws. */
export function duplicateTarget(
  target: PodToServe,
  openNetns: (netns: number) => number = duplicateDescriptor,
): PodToServe {
  const { netns, listeners } = target;
  const copies = listeners && duplicateListeners(listeners);
  try {
    return {
      ...target,
      ...(netns === undefined ? {} : { netns: openNetns(netns) }),
      ...(copies ? { listeners: copies } : {}),
    };
  } catch (error) {
    if (copies) closeListeners(copies);
    throw error;
  }
}

/** Closes what came with a pod that is not to be served after all. */
export function closeTarget({ netns, listeners }: PodToServe): void {
  // Through `fs`, which keeps the books of what a worker opened.
  if (netns !== undefined) closeNetns(netns);
  if (listeners) closeListeners(listeners);
}

/** The same pod without those of its listeners; their descriptors are closed. */
export function withoutListeners(target: PodToServe, isUnwanted: (name: string) => boolean): PodToServe {
  const { listeners } = target;
  if (!listeners) return target;
  const kept: Record<string, number> = {};
  for (const [name, fd] of Object.entries(listeners)) {
    if (isUnwanted(name)) closeDescriptor(fd);
    else kept[name] = fd;
  }
  return { ...target, listeners: kept as unknown as PodListeners };
}
