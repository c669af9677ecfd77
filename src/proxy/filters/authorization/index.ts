/** AuthorizationPolicy, for requests and for connections. */
export { authorizationFilter } from './filter.ts';
