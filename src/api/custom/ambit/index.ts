/** Ambit's own kinds. */
import type { CustomKind } from '../custom-kind.ts';
import { proxyExtension } from './proxy-extension.ts';
import { rateLimit } from './rate-limit.ts';

export const ambitKinds: readonly CustomKind[] = [rateLimit, proxyExtension];
