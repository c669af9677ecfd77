/** Every filter, in the order in which requests pass them (ambient-l7, 1.6). */
import type { FilterKind } from '../engine/filter.ts';
import { authenticationFilter } from './authentication/filter.ts';
import { authorizationFilter } from './authorization/filter.ts';
import { corsFilter } from './cors/filter.ts';
import { extAuthzFilter } from './ext-authz/filter.ts';
import { extensionFilter } from './extension/filter.ts';
import { faultFilter } from './fault/filter.ts';
import { rateLimitFilter } from './rate-limit/filter.ts';
import { sessionFilter } from './session/filter.ts';

export const filterKinds: readonly FilterKind[] = [
  extAuthzFilter,
  extensionFilter('authentication'),
  authenticationFilter,
  extensionFilter('authorization'),
  authorizationFilter,
  rateLimitFilter,
  faultFilter,
  corsFilter,
  extensionFilter('statistics'),
  extensionFilter('last'),
  // After all that may choose another route.
  sessionFilter,
];
