/** rbac.authorization.k8s.io/v1: who may do what. */
import type { KubeObject, LabelSelector } from './meta.ts';

export interface PolicyRule {
  verbs: string[];
  apiGroups?: string[];
  /** Plural, `*`, or with a subresource: `pods/log`. */
  resources?: string[];
  resourceNames?: string[];
  /** Only in ClusterRoles: `/healthz`, `/api/*`. */
  nonResourceURLs?: string[];
}

export interface Role extends KubeObject {
  rules?: PolicyRule[];
}

export interface ClusterRole extends KubeObject {
  rules?: PolicyRule[];
  /** The rules are then those of the ClusterRoles that it selects. */
  aggregationRule?: { clusterRoleSelectors?: LabelSelector[] };
}

export interface RbacSubject {
  kind: 'User' | 'Group' | 'ServiceAccount';
  apiGroup?: string;
  name: string;
  /** Of a ServiceAccount. */
  namespace?: string;
}

export interface RoleBinding extends KubeObject {
  subjects?: RbacSubject[];
  roleRef: { apiGroup: string; kind: 'Role' | 'ClusterRole'; name: string };
}

/** Its role is always a ClusterRole. */
export type ClusterRoleBinding = RoleBinding;
