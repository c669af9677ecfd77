/** Kinds of the group policy. */
import { budgetColumns } from '../columns/policies.ts';
import { define } from '../define.ts';
import type { KindInfo } from '../kind-info.ts';
import { kinds } from '../kinds.ts';
import { budgetSchema } from '../schema/autoscaling.ts';
import { validateBudget } from '../validation/autoscaling.ts';

export const policyKinds: readonly KindInfo[] = [
  define(kinds.PodDisruptionBudget, {
    schema: budgetSchema,
    columns: budgetColumns,
    shortNames: ['pdb'],
    onCreate: (budget) => {
      budget['status'] = { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 };
    },
    validate: validateBudget,
  }),
];
