/** Policies that tests need, in the form of the data plane. */
import { emptyMatch, type Authorization, type AuthorizationMatch } from '../../src/policy/model.ts';

/** A policy of namespace `shop` with one match, changed by `more`. */
export function testPolicy(
  name: string,
  action: 'allow' | 'deny',
  match: Partial<AuthorizationMatch>,
  more: Partial<Authorization> = {},
): Authorization {
  const rules = [{ clauses: [{ matches: [{ ...emptyMatch, ...match }] }] }];
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
