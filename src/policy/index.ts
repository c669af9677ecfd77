/** The policy model and the pure decisions on it. */
export { decideAuthorization } from './authorization.ts';
export type { ConnectionFacts, Decision, PolicySet, SourcePrincipal } from './authorization.ts';
export type { Authorization, AuthorizationMatch, StringMatch } from './model.ts';
