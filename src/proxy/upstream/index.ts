/** The proxy's upstream: backends, their hosts, and connections to them. */
export { createUpstreams, type UpstreamsOptions } from './upstreams.ts';
export type { ProxyCertificates } from './hbone-connector.ts';
export type * from './upstream.ts';
