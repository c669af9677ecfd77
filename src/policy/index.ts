/** The policy model and the pure decisions on it. */
export { decideAuthorization } from './authorization.ts';
export type {
  ConnectionFacts,
  Decision,
  DecisionOutcome,
  DryRunFinding,
  PolicySet,
  SourcePrincipal,
} from './authorization.ts';
export type {
  Authorization,
  AuthorizationClause,
  AuthorizationMatch,
  AuthorizationRule,
  ServiceAccountMatch,
  StringMatch,
} from './model.ts';
