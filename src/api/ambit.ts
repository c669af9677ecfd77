/** Ambit's own kinds: their types come from their schemas, in `custom/ambit`. */
export type { ProxyExtension, RateLimit as RateLimitPolicy } from './custom/types.gen.ts';
