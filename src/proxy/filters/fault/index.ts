/** Faults that routes ask for. */
export { faultFilter } from './filter.ts';
