/**
 * What an L7 proxy (waypoint, gateway, sidecar) is told: the one model that Gateway API routes and Istio's resources become.
 *
 * Discovery makes these values, `wire` carries them, `decision` and `proxy` act on them, `explain` tells of them.
 */
export type * from './backend.ts';
export type * from './listener.ts';
export type * from './origin.ts';
export type * from './policy.ts';
export type * from './resource.ts';
export type * from './routes.ts';
export type * from './settings.ts';
