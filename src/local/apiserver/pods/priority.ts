/** The admission plugin Priority: a pod's class says how it stands to others. */
import type { JsonObject } from '../merge-patch.ts';
import type { ApiObject } from '../object-fields.ts';

/** A PriorityClass, as far as pods are concerned. */
export interface PriorityClassView {
  readonly name: string;
  readonly value: number;
  readonly preemptionPolicy?: string;
  readonly globalDefault?: boolean;
}

export interface PriorityAdmission {
  readonly pod: ApiObject;
  readonly findClass: (name: string) => PriorityClassView | undefined;
  readonly classes: () => readonly PriorityClassView[];
  /** Throws. */
  readonly refuse: (why: string) => never;
}

/** Changes `pod`. */
export function admitPriority({ pod, findClass, classes, refuse }: PriorityAdmission): void {
  const spec = (pod.spec ??= {});
  const wanted = spec['priorityClassName'];
  const isNamed = typeof wanted === 'string' && wanted !== '';
  const found = isNamed ? findClass(wanted) : defaultOf(classes());
  if (isNamed && !found) return refuse(`no PriorityClass with name ${wanted} was found`);
  const { value, preemptionPolicy = 'PreemptLowerPriority' } = found ?? { value: 0 };
  if (!isNamed && found) spec['priorityClassName'] = found.name;
  const rule = 'must not be provided in pod spec; priority admission controller computed';
  const { priority = value, preemptionPolicy: policy = preemptionPolicy } = spec;
  if (priority !== value)
    refuse(
      `the integer value of priority (${JSON.stringify(priority)}) ${rule} ${value} from the given PriorityClass name`,
    );
  if (policy !== preemptionPolicy) {
    const given = typeof policy === 'string' ? policy : JSON.stringify(policy);
    refuse(
      `the string value of PreemptionPolicy (${given}) ${rule} ${preemptionPolicy} from the given PriorityClass name`,
    );
  }
  Object.assign(spec, { priority: value, preemptionPolicy });
}

/** An update that does not say keeps what there was. */
export function keepPriority(spec: JsonObject, before: JsonObject): void {
  for (const field of ['priority', 'preemptionPolicy']) {
    if (spec[field] === undefined && before[field] !== undefined) spec[field] = before[field];
  }
}

/** Of several defaults, which a server may have had before it knew better, the lowest. */
function defaultOf(classes: readonly PriorityClassView[]): PriorityClassView | undefined {
  return classes.filter(({ globalDefault }) => globalDefault).toSorted((a, b) => a.value - b.value)[0];
}
