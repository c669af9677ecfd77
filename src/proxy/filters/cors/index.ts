/** Cross-origin requests. */
export { corsFilter } from './filter.ts';
