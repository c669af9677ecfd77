/** Policies that tests need, in the form of the data plane. */
import type { Authorization, AuthorizationMatch } from '../../src/policy/index.ts';

const anyMatch: AuthorizationMatch = {
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

/** A policy of namespace `shop` with one match, changed by `more`. */
export function testPolicy(
  name: string,
  action: 'allow' | 'deny',
  match: Partial<AuthorizationMatch>,
  more: Partial<Authorization> = {},
): Authorization {
  const rules = [{ clauses: [{ matches: [{ ...anyMatch, ...match }] }] }];
  return { name, namespace: 'shop', scope: 'namespace', action, rules, dryRun: false, ...more };
}

export function allowFrom(name: string, namespace: string): Authorization {
  return testPolicy(name, 'allow', { namespaces: [{ kind: 'exact', value: namespace }] });
}

/** What STRICT becomes: binds the workloads that name it. */
export function denyPlaintext(name: string): Authorization {
  return testPolicy(
    name,
    'deny',
    { notPrincipals: [{ kind: 'presence' }] },
    { namespace: 'istio-system', scope: 'workload-selector' },
  );
}
