import assert from 'node:assert/strict';
import { it } from 'node:test';
import { completeObjects } from '../../../../test/support/gateway-api/complete.ts';
import type { KubeObject } from '../../meta.ts';
import { checkSchema } from '../../schema/compile.ts';
import { applyDefaults } from '../../schema/defaulting.ts';
import type { JsonSchema } from '../../schema/schema.ts';
import { objectSchemaOf } from '../check-object.ts';
import { gatewayKinds } from './index.ts';

type Step = string | number;

/** What is put in the place of every value in turn. No number beyond 32 bits: a real server takes them, the models do not. */
const replacements: readonly unknown[] = ['', 'X Y', 'a'.repeat(300), '*.a.com', '10s', -1, 1.5, 1e6, {}, ['x'], [{}]];

/** Every place in an object with what stands there. */
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

/** The same for all items of a list: `.spec.rules[].name`. */
function placeName(path: readonly Step[]): string {
  return path.reduce<string>((name, step) => (typeof step === 'number' ? `${name}[]` : `${name}.${step}`), '');
}

/** The corpus: objects that both sides know in full, in a version that both have. */
function knownToBoth(): KubeObject[] {
  const group = 'gateway.networking.k8s.io';
  return completeObjects
    .filter(({ kind }) => kind !== 'XBackend')
    .map((object) => {
      const { status: _, ...rest } = structuredClone(object) as KubeObject & { status?: unknown };
      const isLater = rest.kind === 'TCPRoute' || rest.kind === 'UDPRoute';
      // The models' list of filters is that of the standard channel.
      const text = JSON.stringify(rest, (name, value: unknown) =>
        name === 'filters' && Array.isArray(value)
          ? value.filter((filter) => (filter as { type: string }).type !== 'ExternalAuth')
          : value,
      );
      return { ...(JSON.parse(text) as KubeObject), ...(isLater && { apiVersion: `${group}/v1alpha2` }) };
    });
}

async function modelOf({ apiVersion, kind = '' }: KubeObject): Promise<(object: unknown) => boolean> {
  const models = (await import(`@kubernetes-models/gateway-api/${apiVersion}/${kind}`)) as Record<
    string,
    new (object: unknown) => { validate: () => void }
  >;
  const Model = models[kind];
  assert.ok(Model, kind);
  return (object) => {
    try {
      new Model(object).validate();
      return true;
    } catch {
      return false;
    }
  };
}

function schemaOf(object: KubeObject): JsonSchema {
  const kind = gatewayKinds.find(({ ref }) => ref.kind === object.kind);
  const version = kind?.versions.find(({ name }) => object.apiVersion?.endsWith(`/${name}`));
  assert.ok(version);
  return objectSchemaOf(version.schema);
}

/** What the models leave out: what came with release 1.6, alternatives, and the descriptions' own type. */
const unsaid: readonly RegExp[] = [
  /^Gateway\.spec\.addresses\[\]\.value = .*: refused$/,
  /^(GatewayClass|XMesh)\.spec\.description = .*: refused$/,
  /\.retry\.attempts = (0|-1): refused$/,
  /^ReferenceGrant\.spec = undefined: refused$/,
];

it('agrees with the validators of a third party on structure', async () => {
  const differences = new Set<string>();
  let cases = 0;
  for (const object of knownToBoth()) {
    const schema = schemaOf(object);
    const isTheirs = await modelOf(object);
    assert.ok(isTheirs(object));
    const seen = new Set<string>();
    for (const path of places((object as KubeObject & { spec: unknown }).spec, ['spec'])) {
      const place = `${object.kind}${placeName(path)}`;
      // The filters of a backend are those of a rule.
      if (seen.has(place) || place.includes('backendRefs[].filters')) continue;
      seen.add(place);
      for (const value of [undefined, ...replacements]) {
        const ours = structuredClone(replaced(object, path, value));
        const theirs = isTheirs(ours);
        applyDefaults(ours, schema);
        const accepted = checkSchema(ours, schema).length === 0;
        cases++;
        const difference = `${place} = ${JSON.stringify(value)?.slice(0, 40)}: ${accepted ? 'accepted' : 'refused'}`;
        if (theirs !== accepted && !unsaid.some((pattern) => pattern.test(difference))) differences.add(difference);
      }
    }
  }
  assert.ok(cases > 3000, `${cases} cases`);
  assert.deepEqual([...differences], []);
});
