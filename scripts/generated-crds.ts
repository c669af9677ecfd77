/** charts/crds: the CustomResourceDefinitions of Ambit's kinds as YAML, one file a kind. */
import { dump } from 'js-yaml';
import { crdOf } from '../src/api/custom/crd.ts';
import { customKinds } from '../src/api/custom/index.ts';

export const crdFolder = 'charts/crds';

const header = `# Generated from src/api/custom by "npm run generate". Do not edit.\n`;

/** Text by file name below `crdFolder`. */
export function generateCrds(): Map<string, string> {
  return new Map(
    customKinds.map((kind) => {
      const crd = crdOf(kind);
      // Rules and descriptions keep their lines, and nothing is an alias of something else.
      return [`${crd.metadata.name}.yaml`, header + dump(crd, { lineWidth: 120, noRefs: true })];
    }),
  );
}
