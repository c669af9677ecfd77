/** AuthorizationPolicy -> what an L7 proxy decides by (ambient-l7, 2.5). */
import type { AuthorizationPolicy, AuthorizationRule } from '../../api/istio.ts';
import type { AttributeMatch, HttpAuthorization, HttpAuthorizationRule } from '../../api/l7/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { isDryRun } from '../dry-run.ts';
import { conditionMatch, operationMatches, sourceMatches, type AttributeScope } from './authorization-attributes.ts';
import { originOf } from './l7-services.ts';

export interface HttpAuthorizationConversion {
  readonly policy: HttpAuthorization;
  /** One line for each thing that is not enforced as written. */
  readonly notes: readonly string[];
}

const actions: Readonly<Record<string, HttpAuthorization['action']>> = {
  ALLOW: 'allow',
  DENY: 'deny',
  AUDIT: 'audit',
  CUSTOM: 'custom',
};

/** `trustDomains`: the mesh's own and its aliases. */
export function convertHttpAuthorization(
  policy: AuthorizationPolicy,
  trustDomains: readonly string[],
): HttpAuthorizationConversion {
  const { name = '', namespace = '' } = policy.metadata;
  const base = {
    kind: 'authorization',
    name: `${namespace}/${name}`,
    origin: originOf('AuthorizationPolicy', policy),
    dryRun: isDryRun(policy),
  } as const;
  const written = policy.spec?.action ?? 'ALLOW';
  const action = Object.hasOwn(actions, written) ? actions[written] : undefined;
  if (!action) {
    const note = `action ${JSON.stringify(written)} is not known; everything is denied`;
    return { policy: { ...base, ...denyAll }, notes: [note] };
  }
  try {
    const rules = (policy.spec?.rules ?? []).map((rule) => readRule(rule, { namespace, trustDomains }));
    const provider = action === 'custom' ? { provider: policy.spec?.provider?.name ?? '' } : {};
    return { policy: { ...base, action, ...provider, rules }, notes: notesOf(rules, action) };
  } catch (error) {
    // An object that no schema has checked: it must not open what it was written to close.
    const note = `the policy cannot be read, everything is denied: ${messageOf(error)}`;
    return { policy: { ...base, ...denyAll }, notes: [note] };
  }
}

const denyAll = { action: 'deny', rules: [{ from: [], to: [], when: [] }] } as const;

function readRule(rule: AuthorizationRule, scope: AttributeScope): HttpAuthorizationRule {
  const { from = [], to = [], when = [], ...more } = rule;
  const unknown = Object.keys(more).map((key): AttributeMatch => ({
    attribute: { kind: 'unsupported', key },
    values: [],
    notValues: [],
  }));
  return {
    from: from.map(({ source }) => sourceMatches(source ?? {}, scope)),
    to: to.map(({ operation }) => operationMatches(operation ?? {}, scope)),
    when: [...when.map((condition) => conditionMatch(condition, scope)), ...unknown],
  };
}

function notesOf(rules: readonly HttpAuthorizationRule[], action: HttpAuthorization['action']): string[] {
  const effect = action === 'allow' ? 'the rule never holds' : 'the rule goes on without it';
  return rules.flatMap(({ from, to, when }, index) =>
    [...from.flat(), ...to.flat(), ...when].flatMap(({ attribute }) =>
      attribute.kind === 'unsupported' ? [`rules[${index}]: ${attribute.key} is not supported: ${effect}`] : [],
    ),
  );
}
