/** Derived collections: source, map, flatMap, index, join; only what changed is computed again. */
export { createDebounce, type Debounce, type DebounceOptions } from './debounce.ts';
export { createGraph, type DeriveOptions, type Graph, type GraphOptions } from './graph.ts';
export type { Change, Changes, Collection, Index, Reader, Source } from './model.ts';
