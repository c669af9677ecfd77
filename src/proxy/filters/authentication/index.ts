/** Tokens of end users: verified, and said to later filters, routes and backends. */
export { authenticationFilter } from './filter.ts';
