/** Pure: which IP families a Service has, from what was asked, what it had and what the cluster can (Kubernetes' dual-stack rules). */
import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { ApiObject } from './object-fields.ts';
import { invalid, type StatusError } from './status-error.ts';

export type ServiceFamily = 'IPv4' | 'IPv6';

/** In the order in which a cluster prefers them; the first is that of a Service which does not say. */
export const dualStack: readonly ServiceFamily[] = ['IPv4', 'IPv6'];

export interface FamilyChoice {
  readonly families: readonly ServiceFamily[];
  readonly policy: string;
}

/**
 * Chooses them and writes `ipFamilies` and `ipFamilyPolicy`. An update that leaves them out keeps them; one that goes from
 * two families to `SingleStack` gives the second up, with its address. Throws 422.
 */
export function chooseFamilies(
  service: ApiObject,
  before: ApiObject | undefined,
  available: readonly ServiceFamily[],
): FamilyChoice {
  const spec = (service.spec ??= {});
  const old = before?.spec?.['type'] === 'ExternalName' ? undefined : before?.spec;
  if (old) {
    spec['ipFamilyPolicy'] ??= old['ipFamilyPolicy'] ?? 'SingleStack';
    if (listOf(spec['ipFamilies']).length === 0) spec['ipFamilies'] = listOf(old['ipFamilies']);
  }
  if (spec['ipFamilyPolicy'] === 'SingleStack') giveUpSecond(spec, old);
  const wanted = listOf(spec['ipFamilies']) as ServiceFamily[];
  const ips = listOf(spec['clusterIPs']).filter((ip) => ip !== 'None');
  const named = ips.map((ip): ServiceFamily => (isIP(ip) === 6 ? 'IPv6' : 'IPv4'));
  const isHeadless = spec['clusterIP'] === 'None' || listOf(spec['clusterIPs'])[0] === 'None';
  const selects = Object.keys((spec['selector'] ?? {}) as object).length > 0;
  const policy =
    typeof spec['ipFamilyPolicy'] === 'string'
      ? spec['ipFamilyPolicy']
      : isHeadless && !selects && available.length > 1
        ? 'RequireDualStack'
        : 'SingleStack';
  const families = [...new Set(wanted.length > 0 ? wanted : named)];
  if (families.length === 0) families.push(available[0] ?? 'IPv4');
  if (policy !== 'SingleStack') {
    for (const family of available) if (!families.includes(family)) families.push(family);
  }
  refuse(service, { families, policy, wanted, named, available, old });
  spec['ipFamilyPolicy'] = policy;
  spec['ipFamilies'] = families;
  return { families, policy };
}

function giveUpSecond(spec: NonNullable<ApiObject['spec']>, old: Record<string, unknown> | undefined): void {
  for (const field of ['ipFamilies', 'clusterIPs']) {
    const list = listOf(spec[field]);
    if (list.length === 2 && isDeepStrictEqual(list, listOf(old?.[field]))) spec[field] = list.slice(0, 1);
  }
}

function refuse(
  service: ApiObject,
  found: FamilyChoice & {
    wanted: readonly ServiceFamily[];
    named: readonly ServiceFamily[];
    available: readonly ServiceFamily[];
    old: Record<string, unknown> | undefined;
  },
): void {
  const { families, policy, wanted, named, available, old } = found;
  const problems: { field: string; message: string }[] = [];
  named.forEach((family, i) => {
    if (wanted[i] === undefined || wanted[i] === family) return;
    problems.push({
      field: `spec.clusterIPs[${i}]`,
      message: `Invalid value: ${JSON.stringify(listOf(service.spec?.['clusterIPs'])[i])}: expected an ${wanted[i]} value as indicated by \`ipFamilies[${i}]\``,
    });
  });
  // Addresses of another family than asked for: what else is wrong follows from it.
  if (problems.length > 0) throw refusal(service, problems);
  const missing = families.filter((family) => !available.includes(family));
  for (const family of missing) {
    const at = Math.max(0, families.indexOf(family));
    problems.push({
      field: `spec.ipFamilies[${at}]`,
      message: `Invalid value: ${JSON.stringify(family)}: not configured on this cluster`,
    });
  }
  if (policy === 'RequireDualStack' && available.length < 2) {
    problems.push({
      field: 'spec.ipFamilyPolicy',
      message: 'Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
    });
  }
  if (policy === 'SingleStack' && families.length > 1) {
    problems.push({
      field: 'spec.ipFamilyPolicy',
      message: `Invalid value: "SingleStack": must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified`,
    });
  }
  const [primary] = listOf(old?.['ipFamilies']);
  if (primary !== undefined && primary !== families[0]) {
    problems.push({
      field: 'spec.ipFamilies[0]',
      message: `Invalid value: ${JSON.stringify(families[0])}: may not change once set`,
    });
  }
  if (problems.length > 0) throw refusal(service, problems);
}

function refusal(service: ApiObject, problems: readonly { field: string; message: string }[]): StatusError {
  const causes = problems.map((problem) => ({ reason: 'FieldValueInvalid', ...problem }));
  return invalid('', 'Service', service.metadata.name ?? '', causes);
}

function listOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : [];
}
