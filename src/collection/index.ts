/** Derived collections: source, map, flatMap, index, join; only what changed is computed again. */
export { createDebounce } from './debounce.ts';
export { createGraph, type Graph } from './graph.ts';
export type { Changes, Collection, Index, Reader, Source } from './model.ts';
