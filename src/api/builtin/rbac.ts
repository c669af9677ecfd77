/** Kinds of the groups rbac.authorization.k8s.io and coordination.k8s.io. */
import { bindingColumns, leaseColumns, roleColumns } from '../columns/rbac.ts';
import { objectAt, type JsonObject } from '../defaults/fill.ts';
import { define } from '../define.ts';
import { isRecord } from '../field-view.ts';
import type { KindInfo } from '../kind-info.ts';
import { kinds } from '../kinds.ts';
import * as rbac from '../schema/rbac.ts';
import {
  validateClusterRole,
  validateClusterRoleBinding,
  validateLease,
  validateRole,
  validateRoleBinding,
} from '../validation/rbac.ts';
import type { NameRule } from '../validation/meta.ts';

/** `system:controller:x`: anything that is one segment of a path. */
const pathSegment: NameRule = (name) => {
  const problems = ['.', '..'].includes(name) ? [`may not be '${name}'`] : [];
  return [...problems, ...['/', '%'].filter((mark) => name.includes(mark)).map((mark) => `may not contain '${mark}'`)];
};

export const rbacKinds: readonly KindInfo[] = [
  define(kinds.Role, {
    schema: rbac.roleSchema,
    columns: roleColumns,
    hasStatus: false,
    nameRule: pathSegment,
    validate: validateRole,
  }),
  define(kinds.ClusterRole, {
    schema: rbac.clusterRoleSchema,
    columns: roleColumns,
    hasStatus: false,
    nameRule: pathSegment,
    validate: validateClusterRole,
  }),
  define(kinds.RoleBinding, {
    schema: rbac.bindingSchema,
    columns: bindingColumns,
    hasStatus: false,
    nameRule: pathSegment,
    defaults: defaultBinding,
    validate: validateRoleBinding,
  }),
  define(kinds.ClusterRoleBinding, {
    schema: rbac.bindingSchema,
    columns: bindingColumns,
    hasStatus: false,
    nameRule: pathSegment,
    defaults: defaultBinding,
    validate: validateClusterRoleBinding,
  }),
];

export const coordinationKinds: readonly KindInfo[] = [
  define(kinds.Lease, { schema: rbac.leaseSchema, columns: leaseColumns, hasStatus: false, validate: validateLease }),
];

const rbacGroup = 'rbac.authorization.k8s.io';

function defaultBinding(binding: JsonObject): void {
  const ref = objectAt(binding, 'roleRef');
  if (ref) ref['apiGroup'] ??= rbacGroup;
  for (const subject of Array.isArray(binding['subjects']) ? binding['subjects'] : []) {
    if (isRecord(subject) && subject['kind'] !== 'ServiceAccount') subject['apiGroup'] ??= rbacGroup;
  }
}
