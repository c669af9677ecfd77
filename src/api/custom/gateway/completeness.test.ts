import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import type { JsonSchema } from '../../schema/schema.ts';
import { gatewayKinds } from './index.ts';

const models = dirname(createRequire(import.meta.url).resolve('@kubernetes-models/gateway-api/package.json'));

interface Declared {
  readonly name: string;
  readonly isRequired: boolean;
  /** The declaration of its own type, if that is an object. */
  readonly file: string | undefined;
}

/** The fields of the class that a declaration file of the models is about. */
function declaredIn(file: string): Declared[] {
  const text = readFileSync(file, 'utf8').replaceAll(/\/\*[\s\S]*?\*\//g, '');
  const body = /export declare class \w+[^{]* \{([\s\S]*?)\n\}/.exec(text)?.[1] ?? '';
  const imports = [...text.matchAll(/import \{ (\w+) \} from "(\..+?)\.js"/g)];
  return [...body.matchAll(/^ {4}"(\w+)"(\??): (.*)/gm)].map(([, name = '', optional, type = '']) => {
    const found = imports.find(([, imported = '']) => new RegExp(String.raw`\b${imported}\b`).test(type));
    return { name, isRequired: optional === '', file: found && join(dirname(file), `${found[2]}.d.ts`) };
  });
}

/** Where the models and the schema differ: `+` the schema has more, `-` it has less, `!` required in one only. */
function differences(file: string, schema: JsonSchema, path: string): string[] {
  const { properties = {}, required = [] } = schema.items ?? schema;
  const isRoot = !path.includes('.');
  const declared = declaredIn(file).filter(({ name }) => !(isRoot && /^(apiVersion|kind|metadata)$/.test(name)));
  if (declared.length === 0) return [];
  return [
    ...Object.keys(properties)
      .filter((name) => !declared.some((field) => field.name === name))
      .map((name) => `+${path}.${name}`),
    ...declared.flatMap(({ name, isRequired, file: typeFile }) => {
      const known = properties[name];
      if (!known) return [`-${path}.${name}`];
      return [
        ...(isRequired === required.includes(name) ? [] : [`!${path}.${name}`]),
        ...(typeFile !== undefined && existsSync(typeFile) ? differences(typeFile, known, `${path}.${name}`) : []),
      ];
    }),
  ];
}

/** The models are of release 1.5; what 1.6 changed. */
const since: readonly RegExp[] = [/^-.*\.sessionPersistence\.idleTimeout$/, /^!ReferenceGrant\.spec$/];

/** Calls `visit` with the schema of every place there is, and its path. */
function walk(schema: JsonSchema, path: string, visit: (schema: JsonSchema, path: string) => void): void {
  visit(schema, path);
  for (const [name, field] of Object.entries(schema.properties ?? {})) walk(field, `${path}.${name}`, visit);
  if (schema.items) walk(schema.items, `${path}[]`, visit);
  if (schema.additionalProperties) walk(schema.additionalProperties, `${path}{}`, visit);
}

describe("the schemas of the Gateway API's kinds", () => {
  for (const { ref, versions } of gatewayKinds) {
    for (const { name, schema } of versions) {
      const file = join(models, ref.group, name, `${ref.kind}.d.ts`);
      if (!existsSync(file)) continue;
      it(`know every field of ${ref.kind} ${name}, none that is not, and which must be there`, () => {
        assert.ok(declaredIn(file).length > 0);
        assert.deepEqual(
          differences(file, schema, ref.kind).filter((difference) => !since.some((change) => change.test(difference))),
          [],
        );
      });
    }
  }

  it('explain every field in a sentence', () => {
    const wrong: string[] = [];
    for (const { ref, versions } of gatewayKinds) {
      for (const { schema } of versions) {
        walk(schema, ref.kind, ({ description = '' }, path) => {
          const isField = !path.endsWith(']') && !path.endsWith('}');
          if (isField && !/^[A-Z*].*\.$/s.test(description)) wrong.push(path);
        });
      }
    }
    assert.deepEqual(wrong, []);
  });

  it('are structural: types everywhere, known required fields, list keys that are always there', () => {
    const wrong: string[] = [];
    for (const { ref, versions } of gatewayKinds) {
      for (const { schema } of versions) {
        walk(schema, ref.kind, (part, path) => {
          if (!part.type) wrong.push(`${path} has no type`);
          for (const name of part.required ?? []) if (!part.properties?.[name]) wrong.push(`${path} has no ${name}`);
          for (const key of part['x-kubernetes-list-map-keys'] ?? []) {
            const item = part.items;
            const isThere = item?.required?.includes(key) || item?.properties?.[key]?.default !== undefined;
            if (!isThere) wrong.push(`${path} is keyed by ${key}, which may be absent`);
          }
        });
      }
    }
    assert.deepEqual(wrong, []);
  });

  it('are stored in one version each, the one of their address', () => {
    for (const { ref, versions } of gatewayKinds) {
      const stored = versions.filter(({ storage }) => storage).map(({ name }) => name);
      assert.deepEqual(stored, [ref.version], ref.kind);
    }
  });
});
