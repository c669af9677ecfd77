/**
 * Authorization as data planes decide it: the domain form of `istio.security.Authorization`.
 *
 * A policy is an OR of rules; a rule an AND of clauses; a clause an OR of matches; a match an AND of attribute families.
 */
import type { Cidr } from '../lib/ip.ts';

export type StringMatch =
  | { readonly kind: 'exact'; readonly value: string }
  | { readonly kind: 'prefix'; readonly value: string }
  | { readonly kind: 'suffix'; readonly value: string }
  | { readonly kind: 'presence' };

export interface ServiceAccountMatch {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** Each family holds when its positive list is empty or hit, and its negative list is not hit. No field at all: never matches. */
export interface AuthorizationMatch {
  readonly namespaces: readonly StringMatch[];
  readonly notNamespaces: readonly StringMatch[];
  /** Compared with the SPIFFE id without `spiffe://`. */
  readonly principals: readonly StringMatch[];
  readonly notPrincipals: readonly StringMatch[];
  readonly sourceIps: readonly Cidr[];
  readonly notSourceIps: readonly Cidr[];
  readonly destinationIps: readonly Cidr[];
  readonly notDestinationIps: readonly Cidr[];
  readonly destinationPorts: readonly number[];
  readonly notDestinationPorts: readonly number[];
  readonly serviceAccounts: readonly ServiceAccountMatch[];
  readonly notServiceAccounts: readonly ServiceAccountMatch[];
}

/** A match without any attribute: it never matches. What a match is built from, attribute by attribute. */
export const emptyMatch: AuthorizationMatch = {
  namespaces: [],
  notNamespaces: [],
  principals: [],
  notPrincipals: [],
  sourceIps: [],
  notSourceIps: [],
  destinationIps: [],
  notDestinationIps: [],
  destinationPorts: [],
  notDestinationPorts: [],
  serviceAccounts: [],
  notServiceAccounts: [],
};

export interface AuthorizationClause {
  readonly matches: readonly AuthorizationMatch[];
}

export interface AuthorizationRule {
  readonly clauses: readonly AuthorizationClause[];
}

export interface Authorization {
  readonly name: string;
  readonly namespace: string;
  /** Which workloads it binds: all, those of its namespace, or those that name it. */
  readonly scope: 'global' | 'namespace' | 'workload-selector';
  /** `audit` decides nothing: what it matches is said in the log. */
  readonly action: 'allow' | 'deny' | 'audit';
  readonly rules: readonly AuthorizationRule[];
  readonly dryRun: boolean;
}
