/** Parsing JSON and YAML that somebody hostile may have written: nesting and expansion are bounded. */
import { CORE_SCHEMA, load } from 'js-yaml';
import type { Json } from './merge-patch.ts';
import { badRequest } from './status-error.ts';

/** Deeper than any object of the API, and shallow enough for every function that walks one. */
const maxDepth = 500;
/** Of a YAML document, after its aliases are followed. */
const maxNodes = 1_000_000;

/** Throws 400 for what is nested too deeply, SyntaxError for what is no JSON. */
export function parseJson(body: Buffer): Json {
  refuseDeep(body);
  return JSON.parse(body.toString('utf8')) as Json;
}

/**
 * Throws 400 for what is nested too deeply or grows too large by its aliases, YAMLException for what is no YAML.
 * Merge keys and YAML 1.1 extras are for files that people write; here a client sends what it serialised.
 */
export function parseYaml(body: Buffer, options: { readonly allowRepeatedKeys: boolean }): Json {
  refuseDeep(body);
  const value = load(body.toString('utf8'), { schema: CORE_SCHEMA, json: options.allowRepeatedKeys }) as Json;
  let nodes = 0;
  const count = (node: Json, depth: number): void => {
    if (++nodes > maxNodes || depth > maxDepth)
      throw badRequest('the object provided is nested too deeply or too large');
    if (typeof node !== 'object' || node === null) return;
    for (const child of Array.isArray(node) ? node : Object.values(node)) count(child, depth + 1);
  };
  count(value, 0);
  return value;
}

const [quote, backslash] = [0x22, 0x5c];
const opening = new Set([0x5b, 0x7b]);
const closing = new Set([0x5d, 0x7d]);

/** Counts brackets outside of strings, without building anything. */
function refuseDeep(body: Buffer): void {
  if (body.length <= 2 * maxDepth) return;
  let depth = 0;
  let isString = false;
  for (let i = 0; i < body.length; i++) {
    const byte = body[i] ?? 0;
    if (isString) {
      if (byte === backslash) i++;
      else if (byte === quote) isString = false;
    } else if (byte === quote) isString = true;
    else if (opening.has(byte)) {
      if (++depth > maxDepth) throw badRequest('exceeded max depth: the object provided is nested too deeply');
    } else if (closing.has(byte)) depth--;
  }
}
