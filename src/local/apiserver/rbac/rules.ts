/** What one rule of a role allows (rbac.authorization.k8s.io/v1 `PolicyRule`). Pure. */
import type { PolicyRule } from '../../../api/index.ts';
import type { ResourceAttributes } from '../authorization.ts';

const any = '*';

export function allowsResource(rule: PolicyRule, attributes: ResourceAttributes): boolean {
  const { verb, group, resource, subresource, name } = attributes;
  return (
    includes(rule.verbs, verb) &&
    includes(rule.apiGroups, group) &&
    (rule.resources ?? []).some((allowed) => coversResource(allowed, resource, subresource)) &&
    // A rule about names allows nothing that has none: a list, or a create.
    ((rule.resourceNames ?? []).length === 0 || rule.resourceNames?.includes(name) === true)
  );
}

export function allowsPath(rule: PolicyRule, verb: string, path: string): boolean {
  return includes(rule.verbs, verb) && (rule.nonResourceURLs ?? []).some((allowed) => coversPath(allowed, path));
}

/** Whether `rules` together allow everything that `rule` allows. */
export function covers(rules: readonly PolicyRule[], rule: PolicyRule): boolean {
  return atomsOf(rule).every((atom) => rules.some((owned) => coversAtom(owned, atom)));
}

/** The parts of a rule that one of the owner's rules must have: one verb on one resource, name or path. */
function atomsOf(rule: PolicyRule): PolicyRule[] {
  const names = rule.resourceNames?.length ? rule.resourceNames.map((name) => [name]) : [undefined];
  const resources = rule.verbs.flatMap((verb) =>
    (rule.apiGroups ?? []).flatMap((group) =>
      (rule.resources ?? []).flatMap((resource) =>
        names.map((resourceNames) => ({
          verbs: [verb],
          apiGroups: [group],
          resources: [resource],
          ...(resourceNames && { resourceNames }),
        })),
      ),
    ),
  );
  const paths = rule.verbs.flatMap((verb) =>
    (rule.nonResourceURLs ?? []).map((url) => ({ verbs: [verb], nonResourceURLs: [url] })),
  );
  return [...resources, ...paths];
}

function coversAtom(owned: PolicyRule, atom: PolicyRule): boolean {
  const [verb = ''] = atom.verbs;
  if (!includes(owned.verbs, verb)) return false;
  const [url] = atom.nonResourceURLs ?? [];
  if (url !== undefined) return (owned.nonResourceURLs ?? []).some((allowed) => coversPath(allowed, url));
  const [group = ''] = atom.apiGroups ?? [];
  const [full = ''] = atom.resources ?? [];
  const [resource = '', subresource = ''] = full.split('/');
  const [name] = atom.resourceNames ?? [];
  const named = (owned.resourceNames ?? []).length > 0;
  return (
    includes(owned.apiGroups, group) &&
    (owned.resources ?? []).some((allowed) => coversResource(allowed, resource, subresource)) &&
    (!named || (name !== undefined && owned.resourceNames?.includes(name) === true))
  );
}

function includes(list: readonly string[] | undefined, value: string): boolean {
  return list !== undefined && (list.includes(any) || list.includes(value));
}

// A star is every resource with its subresources; a star before a slash the subresource of all.
function coversResource(allowed: string, resource: string, subresource: string): boolean {
  if (allowed === any) return true;
  if (subresource === '') return allowed === resource;
  return allowed === `${resource}/${subresource}` || allowed === `${any}/${subresource}`;
}

function coversPath(allowed: string, path: string): boolean {
  if (allowed === any || allowed === path) return true;
  return allowed.endsWith(any) && path.startsWith(allowed.replace(/\*+$/, ''));
}
