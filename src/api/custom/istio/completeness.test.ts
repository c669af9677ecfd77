import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { JsonSchema } from '../../schema/schema.ts';
import { istioKinds } from './index.ts';

/** Paths of all fields of the first interface in a declaration file; `[]` is an item of a list, `{}` a value of a map. */
function declaredFields(file: string): string[] {
  const text = readFileSync(file, 'utf8').replaceAll(/\/\*[\s\S]*?\*\//g, '');
  const start = text.indexOf('export interface ');
  const path: string[] = [];
  const found: string[] = [];
  for (const line of text.slice(start).split('\n').slice(1)) {
    if (line === '}') break;
    const [, name, value = ''] = /^\s*(?:"([^"]+)"|\[key: string\])\??: (.*)$/.exec(line) ?? [];
    // An alternative of the same object: `} | {`.
    if (/^\s*\}.*\{$/.test(line)) continue;
    if (/^\s*\}/.test(line)) path.pop();
    if (value === '') continue;
    const step = name === undefined ? '{}' : name;
    const list = value.startsWith('Array<') ? '[]' : '';
    if (name !== undefined) found.push([...path, step].join('.'));
    if (value.endsWith('{')) path.push(step + list);
  }
  return [...new Set(found)].filter((field) => !/^(apiVersion|kind|metadata)$/.test(field));
}

function schemaFields(schema: JsonSchema, path: readonly string[] = []): string[] {
  const last = path.at(-1);
  if (schema.items) return schemaFields(schema.items, [...path.slice(0, -1), `${last}[]`]);
  if (schema.additionalProperties) return schemaFields(schema.additionalProperties, [...path, '{}']);
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => [
    [...path, name].join('.'),
    ...schemaFields(field, [...path, name]),
  ]);
}

/** Fields that came after the models' release. */
const newer = [
  /\.(http2KeepAlive|zoneAwareLbSetting)(\.|\[|$)/,
  /\.(prefixRewrite|budgetInterval|outlierDetectionHttpErrorCodes|disableContextPropagation)$/,
  /^spec\.rules\[\]\.from\[\]\.source\.(trustDomains|notTrustDomains)$/,
  /^spec\.(servers|ingress)\[\]\.tls\.insecureSkipVerify$/,
];

describe("the schemas of Istio's kinds", () => {
  for (const { ref, versions } of istioKinds.filter(({ ref: { kind } }) => kind !== 'TrafficExtension')) {
    it(`know every field of ${ref.kind}, and none that does not exist`, () => {
      for (const { name, schema } of versions) {
        const url = import.meta.resolve(`@kubernetes-models/istio/${ref.group}/${name}/${ref.kind}`);
        const theirs = declaredFields(fileURLToPath(url).replace(/\.js$/, '.d.ts'));
        const ours = schemaFields(schema);
        assert.ok(theirs.length > 10);
        assert.deepEqual(
          theirs.filter((field) => !ours.includes(field)),
          [],
          'missing',
        );
        assert.deepEqual(
          ours.filter((field) => !theirs.includes(field) && !newer.some((pattern) => pattern.test(field))),
          [],
          'unknown',
        );
      }
    });
  }

  it('explain every field, and keep to what a structural schema may be', () => {
    const wrong: string[] = [];
    const walk = (schema: JsonSchema, path: string, described: boolean): void => {
      if (described && !schema.description) wrong.push(`${path} has no description`);
      const isNumberOrText = schema['x-kubernetes-int-or-string'];
      if (!schema.type && !isNumberOrText) wrong.push(`${path} has no type`);
      for (const part of [...(schema.oneOf ?? []), ...(schema.allOf ?? [])]) {
        if (part.type ?? part.properties) wrong.push(`${path} has types inside of its alternatives`);
      }
      for (const name of schema.required ?? []) {
        if (!schema.properties?.[name]) wrong.push(`${path} requires ${name}, which it has not`);
      }
      for (const [name, field] of Object.entries(schema.properties ?? {})) walk(field, `${path}.${name}`, true);
      if (schema.items) walk(schema.items, `${path}[]`, false);
      if (schema.additionalProperties) walk(schema.additionalProperties, `${path}{}`, false);
    };
    for (const { ref, versions } of istioKinds) {
      for (const { schema } of versions) walk(schema, ref.kind, false);
      assert.equal(versions.filter(({ storage }) => storage).length, 1, ref.kind);
      assert.equal(versions.find(({ storage }) => storage)?.name, ref.version, ref.kind);
    }
    assert.deepEqual(wrong, []);
  });
});
