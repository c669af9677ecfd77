import { deepEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../merge-patch.ts';
import { admitPriority, keepPriority, type PriorityClassView } from './priority.ts';

const critical = { name: 'critical', value: 1000, preemptionPolicy: 'Never' };

function admitted(spec: JsonObject, classes: readonly PriorityClassView[] = [critical]): JsonObject {
  const pod = { metadata: { name: 'p' }, spec };
  admitPriority({
    pod,
    findClass: (name) => classes.find((each) => each.name === name),
    classes: () => classes,
    refuse: (why) => {
      throw new Error(why);
    },
  });
  return spec;
}

test('without a class a pod has priority 0', () => {
  deepEqual(admitted({}), { priority: 0, preemptionPolicy: 'PreemptLowerPriority' });
  deepEqual(admitted({ priority: 0 }), { priority: 0, preemptionPolicy: 'PreemptLowerPriority' });
});

test('a class says priority and policy, and one that is not there is refused', () => {
  const priorityClassName = 'critical';
  deepEqual(admitted({ priorityClassName }), { priorityClassName, priority: 1000, preemptionPolicy: 'Never' });
  throws(() => admitted({ priorityClassName: 'none' }), /^Error: no PriorityClass with name none was found$/);
});

test('the lowest of the default classes is for pods that name none', () => {
  const classes = [
    { name: 'high', value: 9, globalDefault: true },
    { name: 'low', value: 7, globalDefault: true, preemptionPolicy: 'Never' },
  ];
  deepEqual(admitted({}, classes), { priorityClassName: 'low', priority: 7, preemptionPolicy: 'Never' });
});

test('a pod may not say otherwise than its class', () => {
  const computed = 'must not be provided in pod spec; priority admission controller computed';
  throws(() => admitted({ priority: 5 }), new RegExp(String.raw`value of priority \(5\) ${computed} 0 from the given`));
  throws(
    () => admitted({ preemptionPolicy: 'Never' }),
    new RegExp(String.raw`value of PreemptionPolicy \(Never\) ${computed} PreemptLowerPriority from the given`),
  );
});

test('an update that does not say keeps what there was', () => {
  const spec: JsonObject = {};
  keepPriority(spec, { priority: 7, preemptionPolicy: 'Never' });
  deepEqual(spec, { priority: 7, preemptionPolicy: 'Never' });
});
