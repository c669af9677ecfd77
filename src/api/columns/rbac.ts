/** The columns of rbac.authorization.k8s.io and coordination.k8s.io, as kubectl shows them. */
import type { Lease } from '../coordination.ts';
import type { Column } from '../kind-info.ts';
import type { KubeObject } from '../meta.ts';
import type { RbacSubject, RoleBinding } from '../rbac.ts';
import { ageColumn, column, nameColumn, wide } from './columns.ts';

export const roleColumns: readonly Column[] = [
  nameColumn,
  column<KubeObject>('Created At', 'When the object was created.', ({ metadata }) => metadata.creationTimestamp ?? ''),
] as readonly Column[];

export const bindingColumns: readonly Column<RoleBinding>[] = [
  nameColumn,
  column<RoleBinding>('Role', 'The role that is granted.', ({ roleRef }) => `${roleRef.kind}/${roleRef.name}`),
  ageColumn,
  wide<RoleBinding>('Users', 'Users in the binding.', ({ subjects }) => namesOf(subjects, 'User')),
  wide<RoleBinding>('Groups', 'Groups in the binding.', ({ subjects }) => namesOf(subjects, 'Group')),
  wide<RoleBinding>('ServiceAccounts', 'Service accounts in the binding.', ({ subjects }) =>
    namesOf(subjects, 'ServiceAccount'),
  ),
];

export const leaseColumns: readonly Column<Lease>[] = [
  nameColumn,
  column<Lease>('Holder', 'The current holder of the lease.', ({ spec }) => spec?.holderIdentity ?? ''),
  ageColumn,
];

function namesOf(subjects: readonly RbacSubject[] | undefined, kind: RbacSubject['kind']): string {
  return (subjects ?? [])
    .filter((subject) => subject.kind === kind)
    .map(({ name, namespace }) => (kind === 'ServiceAccount' ? `${namespace}/${name}` : name))
    .join(', ');
}
