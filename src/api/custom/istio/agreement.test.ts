import assert from 'node:assert/strict';
import { it } from 'node:test';
import { checkSchema } from '../../schema/compile.ts';
import { objectSchemaOf } from '../check-object.ts';
import type { CustomKind, CustomVersion } from '../custom-kind.ts';
import { istioKinds } from './index.ts';
import { sampleOf } from './sample.ts';

type Step = string | number;

/** What is put in the place of every value in turn. No number beyond 32 bits: a real server takes them, the models do not. */
const replacements: readonly unknown[] = [
  undefined,
  '',
  'X Y',
  'a'.repeat(400),
  -1,
  1.5,
  700,
  1e6,
  true,
  {},
  [],
  ['x'],
  [{}],
];

function* places(value: unknown, path: readonly Step[] = []): Generator<readonly Step[]> {
  if (path.length > 0) yield path;
  if (Array.isArray(value)) for (const [index, item] of value.entries()) yield* places(item, [...path, index]);
  else if (typeof value === 'object' && value !== null) {
    for (const [name, field] of Object.entries(value)) yield* places(field, [...path, name]);
  }
}

/** The value with another at the path; without the field, if that is undefined. What is beside the path is shared. */
function replaced(value: unknown, path: readonly Step[], by: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return by;
  if (Array.isArray(value)) {
    const item = replaced(value[Number(step)], rest, by);
    return item === undefined ? value.toSpliced(Number(step), 1) : value.with(Number(step), item);
  }
  const { [step]: old, ...others } = value as Record<Step, unknown>;
  const field = replaced(old, rest, by);
  return field === undefined ? others : { ...others, [step]: field };
}

async function modelOf({ ref }: CustomKind, version: string): Promise<(object: unknown) => boolean> {
  const path = `@kubernetes-models/istio/${ref.group}/${version}/${ref.kind}`;
  const models = (await import(path)) as Record<string, new (object: unknown) => { validate: () => void }>;
  const Model = models[ref.kind];
  assert.ok(Model, ref.kind);
  return (object) => {
    try {
      new Model(object).validate();
      return true;
    } catch {
      return false;
    }
  };
}

/** Fields that came after the models' release, so that they take anything there. */
const newer =
  /http2KeepAlive|zoneAwareLbSetting|prefixRewrite|budgetInterval|outlierDetectionHttpErrorCodes|disableContextPropagation|rustDomains|tls\.insecureSkipVerify/;

function objectsOf({ ref }: CustomKind, version: CustomVersion): Record<string, unknown>[] {
  const { spec } = version.schema.properties ?? {};
  assert.ok(spec);
  return [0, 1, 2, 3].map((turn) => ({
    apiVersion: `${ref.group}/${version.name}`,
    kind: ref.kind,
    metadata: { name: 'x' },
    spec: sampleOf(spec, turn),
  }));
}

it('the schemas agree with the validators of a third party', async () => {
  const differences = new Set<string>();
  let cases = 0;
  for (const kind of istioKinds.filter(({ ref }) => ref.kind !== 'TrafficExtension')) {
    for (const version of kind.versions.slice(0, 1)) {
      const schema = objectSchemaOf(version.schema);
      const isTheirs = await modelOf(kind, version.name);
      const seen = new Set<string>();
      for (const object of objectsOf(kind, version)) {
        assert.deepEqual(checkSchema(object, schema), []);
        assert.ok(isTheirs(object), kind.ref.kind);
        for (const path of places(object['spec'], ['spec'])) {
          const place = `${kind.ref.kind}.${path.map((step) => (typeof step === 'number' ? '[]' : step)).join('.')}`;
          // What the parts have in common is tried once.
          if (seen.has(place) || newer.test(place) || /subsets|portLevelSettings\..*portLevelSettings/.test(place))
            continue;
          seen.add(place);
          for (const value of replacements) {
            const changed = replaced(object, path, value);
            const accepted = checkSchema(changed, schema).length === 0;
            cases++;
            if (isTheirs(changed) !== accepted) {
              differences.add(
                `${place} = ${JSON.stringify(value)?.slice(0, 30)}: ${accepted ? 'accepted' : 'refused'}`,
              );
            }
          }
        }
      }
    }
  }
  // A real server finds no base64 in it.
  assert.ok(differences.delete('VirtualService.spec.http.[].directResponse.body.bytes = "": refused'));
  assert.ok(cases > 5000, `${cases} cases`);
  assert.deepEqual([...differences], []);
});
