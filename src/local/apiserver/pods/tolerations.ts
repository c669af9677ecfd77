/** The admission plugin DefaultTolerationSeconds: pods stay for five minutes on a node that is lost. */
import type { JsonObject } from '../merge-patch.ts';
import { itemsOf } from './references.ts';

const lostTaints = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'];
const seconds = 300;

/** Changes `spec`: adds the tolerations that nothing in it says already. */
export function tolerateLostNodes(spec: JsonObject): void {
  const { tolerations = [] } = spec;
  if (!Array.isArray(tolerations)) return;
  const covers = (toleration: JsonObject, field: string, value: string): boolean =>
    [undefined, '', value].some((one) => toleration[field] === one);
  const missing = lostTaints.filter(
    (taint) => !itemsOf(tolerations).some((each) => covers(each, 'key', taint) && covers(each, 'effect', 'NoExecute')),
  );
  if (missing.length === 0) return;
  const added = missing.map((key) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: seconds }));
  spec['tolerations'] = [...tolerations, ...added];
}
