/** Who sent a request, as Kubernetes names it. */

export interface User {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export const authenticatedGroup = 'system:authenticated';
export const unauthenticatedGroup = 'system:unauthenticated';
export const nodesGroup = 'system:nodes';
export const mastersGroup = 'system:masters';
export const controllersUser = 'system:ambit:controllers';

/** The node of `system:node:NAME`, if the user is one. */
export function nodeNameOf(user: User): string | undefined {
  return /^system:node:(.+)$/.exec(user.username)?.[1];
}

export function serviceAccountUsername(namespace: string, name: string): string {
  return `system:serviceaccount:${namespace}:${name}`;
}
