/** src/api/custom/types.gen.ts: the TypeScript types of Ambit's kinds, from the schemas of their stored versions. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { CustomKind } from '../src/api/custom/custom-kind.ts';
import { customKinds } from '../src/api/custom/index.ts';
import type { JsonSchema } from '../src/api/schema/schema.ts';
import { root } from './run.ts';

export const typesFile = 'src/api/custom/types.gen.ts';

/** Istio's Gateway gives way to the Gateway API's. */
const typeNames: Readonly<Record<string, string>> = { 'Gateway.networking.istio.io': 'IstioGateway' };

/** The file, formatted. */
export function generateTypes(): string {
  const text = [
    '// Generated from src/api/custom by "npm run generate". Do not edit.\n' +
      "import type { Condition, KubeObject } from '../meta.ts';",
    ...customKinds.flatMap(typesOf),
  ].join('\n\n');
  return execFileSync(join(root, 'node_modules/.bin/oxfmt'), ['--stdin-filepath', typesFile], {
    cwd: root,
    input: text,
    encoding: 'utf8',
  });
}

/** The interface of a kind, and those of the objects in it, which it names by their place. */
function typesOf({ ref, versions }: CustomKind): string[] {
  const schema = (versions.find(({ storage }) => storage) ?? versions[0])?.schema ?? {};
  const name = typeNames[`${ref.kind}.${ref.group}`] ?? ref.kind;
  const types = new NamedTypes();
  const fields = Object.entries(schema.properties ?? {}).filter(
    ([field]) => !['apiVersion', 'kind', 'metadata'].includes(field),
  );
  const lines = fields.map(([field, inner]) => {
    const mark = schema.required?.includes(field) ? '' : '?';
    return `${field}${mark}: ${types.expression(inner, `${name}${pascal(field)}`)};`;
  });
  return [
    `/** ${ref.group} ${ref.kind} */\nexport interface ${name} extends KubeObject {\n${lines.join('\n')}\n}`,
    ...types.declarations,
  ];
}

/** Equal objects of one kind share one interface: that of the first place. */
class NamedTypes {
  readonly declarations: string[] = [];
  readonly #byBody = new Map<string, string>();
  readonly #names = new Set<string>();

  expression(schema: JsonSchema, name: string): string {
    const type = this.#plain(schema, name);
    return schema.nullable ? `${type} | null` : type;
  }

  #plain(schema: JsonSchema, name: string): string {
    if (schema['x-kubernetes-int-or-string']) return 'number | string';
    if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
    if (schema.type === undefined) return 'unknown';
    switch (schema.type) {
      case 'string':
        return 'string';
      case 'integer':
      case 'number':
        return 'number';
      case 'boolean':
        return 'boolean';
      case 'array': {
        if (name.endsWith('Conditions')) return 'Condition[]';
        const item = this.expression(schema.items ?? {}, singular(name));
        return item.includes('|') ? `(${item})[]` : `${item}[]`;
      }
      case 'object':
        if (schema.properties && Object.keys(schema.properties).length > 0) return this.#named(schema, name);
        return `Record<string, ${schema.additionalProperties ? this.expression(schema.additionalProperties, name) : 'unknown'}>`;
    }
  }

  #named(schema: JsonSchema, name: string): string {
    const place = this.declarations.length;
    const lines = Object.entries(schema.properties ?? {}).map(([field, inner]) => {
      const mark = schema.required?.includes(field) ? '' : '?';
      const about = inner.description === undefined ? '' : `/** ${inner.description.replaceAll('*/', '*\\/')} */\n`;
      return `${about}${propertyName(field)}${mark}: ${this.expression(inner, `${name}${pascal(field)}`)};`;
    });
    const body = lines.join('\n');
    const known = this.#byBody.get(body);
    if (known !== undefined) return known;
    let unique = name;
    for (let i = 2; this.#names.has(unique); i++) unique = `${name}${i}`;
    this.#names.add(unique);
    this.#byBody.set(body, unique);
    // Before those of its parts, as one reads.
    this.declarations.splice(place, 0, `export interface ${unique} {\n${body}\n}`);
    return unique;
  }
}

function pascal(field: string): string {
  const words = field.split(/[^A-Za-z0-9]+/);
  return words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join('');
}

function propertyName(field: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(field) ? field : JSON.stringify(field);
}

/** `Rules` of a list is `Rule` of an item. */
function singular(name: string): string {
  if (/(?:ss|us|Dns|Tls)$/.test(name)) return name;
  if (name.endsWith('ies')) return `${name.slice(0, -3)}y`;
  if (/(?:ch|sh|x)es$/.test(name)) return name.slice(0, -2);
  return name.endsWith('s') ? name.slice(0, -1) : name;
}
