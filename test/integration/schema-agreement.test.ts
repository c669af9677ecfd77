/**
 * The definitions of our kinds on Kubernetes' own server: it accepts them all, and says of any object what our validator says, word
 * for word. Runs where AMBIT_TEST_KUBERNETES names the multi-call binary of the real server and etcd is installed.
 */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { load } from 'js-yaml';
import { Agent, request } from 'undici';
import type { KindInfo, KubeObject } from '../../src/api/index.ts';
import { pruneUnknown } from '../../src/api/serving.ts';
import { crdOf } from '../../src/api/custom/crd.ts';
import { customKinds } from '../../src/api/custom/index.ts';
import { servedKinds } from '../../src/api/custom/kind-info.ts';
import type { JsonSchema } from '../../src/api/schema/schema.ts';
import { startKubernetesApiServer, type KubernetesApiServer } from '../support/kubernetes-apiserver.ts';

const binary = process.env['AMBIT_TEST_KUBERNETES'] ?? '';
const skip = binary === '' ? 'AMBIT_TEST_KUBERNETES does not name a real API server' : false;
const definitions = join(import.meta.dirname, '../../charts/crds');
const objectsPerKind = 25;

interface Answer {
  readonly status: number;
  readonly body: {
    readonly spec?: unknown;
    readonly message?: string;
    readonly status?: { readonly conditions: readonly { readonly type: string; readonly status: string }[] | null };
    readonly details?: { readonly causes?: readonly { readonly field: string; readonly message: string }[] };
  };
}

describe('the schemas of our kinds, on a real API server', { skip }, () => {
  let server: KubernetesApiServer;
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });

  before(async () => {
    server = await startKubernetesApiServer(binary);
  });
  after(async () => {
    await dispatcher.close();
    await server[Symbol.asyncDispose]();
  });

  const call = async (method: 'GET' | 'POST', path: string, body?: unknown): Promise<Answer> => {
    const response = await request(server.url + path, {
      method,
      dispatcher,
      headers: { authorization: `Bearer ${server.token}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.body.text();
    // What is not served yet is answered in plain text.
    return { status: response.statusCode, body: text.startsWith('{') ? (JSON.parse(text) as Answer['body']) : {} };
  };

  test('it accepts every definition of charts/crds', async () => {
    const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    for (const file of readdirSync(definitions)) {
      const crd = load(readFileSync(join(definitions, file), 'utf8')) as KubeObject;
      const { status, body } = await call('POST', crds, crd);
      equal(status, 201, body.message ?? '');
      for (let established = false; !established; await delay(50)) {
        const conditions = (await call('GET', `${crds}/${crd.metadata.name}`)).body.status?.conditions ?? [];
        const bad = conditions.find(({ type, status: holds }) => type === 'NonStructuralSchema' && holds === 'True');
        equal(bad, undefined, file);
        established = conditions.some(({ type, status: holds }) => type === 'Established' && holds === 'True');
      }
    }
  });

  test('it says of random objects what we say, and stores what we store', async () => {
    const random = seeded(2026);
    let accepted = 0;
    for (const kind of customKinds.flatMap((each) => servedKinds(crdOf(each)))) {
      const path = `/apis/${kind.group}/${kind.version}${kind.namespaced ? '/namespaces/default' : ''}/${kind.plural}`;
      for (let i = 0; i < objectsPerKind; i++) {
        const object = randomObject(kind, random);
        const real = await call('POST', `${path}?dryRun=All&fieldValidation=Ignore`, object);
        // A definition is served a moment after it is established.
        if (real.status === 404) {
          await delay(100);
          i -= 1;
          continue;
        }
        const { stored, problems } = ours(kind, object);
        const theirs = (real.body.details?.causes ?? []).map(({ field, message }) => `${field}: ${message}`);
        deepEqual(sorted(problems), sorted(theirs), JSON.stringify(object));
        if (problems.length > 0) continue;
        equal(real.status, 201, real.body.message ?? '');
        deepEqual(stored.spec, real.body.spec);
        accepted += 1;
      }
    }
    ok(accepted > 100, `${accepted} objects were accepted: too few to say anything`);
  });
});

function ours(kind: KindInfo, object: KubeObject): { stored: { spec?: unknown }; problems: string[] } {
  const copy = structuredClone(object);
  pruneUnknown(copy, kind.schema);
  const stored = kind.defaults(copy);
  return {
    stored: stored as { spec?: unknown },
    problems: kind.validate(stored).map((each) => `${each.path}: ${each.message}`),
  };
}

/** As a set: which of two equal causes comes first, and how often, is not promised. */
function sorted(problems: readonly string[]): string[] {
  // Of two operands of || that both fail, either may be named.
  return [...new Set(problems.map((each) => each.replace(/no such key: \w+/, 'no such key')))].toSorted();
}

type Random = () => number;

/** Always the same numbers for the same seed. */
function seeded(seed: number): Random {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7f_ff_ff_ff;
    return state / 0x7f_ff_ff_ff;
  };
}

function pick<T>(list: readonly T[], random: Random): T {
  return list[Math.floor(random() * list.length)] as T;
}

const texts =
  'a x.example.com * *.example.com 10.0.0.1 10.0.0.0/8 /x default 5s 1m30s HTTP GET 80 Gateway gateway.networking.k8s.io Service http://x.y/z ns/name ReplacePrefixMatch example.com/controller ü 2020-01-01T00:00:00Z'
    .split(' ')
    .concat('', 'foo bar', 'A'.repeat(260));
const numbers = [0, 1, 5, 80, 443, 8080, 70_000, 100, 301, 302, -5];
const strangers: readonly unknown[] = [null, 5, 'text', true, [], {}, 1.5, -1];

function randomObject(kind: KindInfo, random: Random): KubeObject {
  const { spec = {} } = kind.schema.properties ?? {};
  const object = {
    apiVersion: `${kind.group}/${kind.version}`,
    kind: kind.kind,
    metadata: { name: 'x', ...(kind.namespaced && { namespace: 'default' }) },
    spec: randomValue(spec, 1, random),
  };
  return object;
}

/** Mostly what the schema wants; deeper fields are rarer, and one of a hundred values is something else. */
function randomValue(schema: JsonSchema, depth: number, random: Random): unknown {
  if (random() < 0.012) return pick(strangers, random);
  if (schema.enum && random() < 0.95) return pick(schema.enum, random);
  if (schema['x-kubernetes-int-or-string']) return pick([1, '5%', 0], random);
  switch (schema.type) {
    case 'string':
      return schema.format === 'date-time' ? '2024-01-01T00:00:00Z' : pick(texts, random);
    case 'integer':
      return pick([...numbers, schema.minimum ?? 1, schema.maximum ?? 2], random);
    case 'number':
      return pick([0, 1, 1.5, 50, 100.5], random);
    case 'boolean':
      return random() < 0.5;
    case 'array': {
      const length = Math.max(schema.minItems ?? 0, pick([0, 1, 1, 1, 2, 3], random));
      return Array.from({ length }, () => randomValue(schema.items ?? {}, depth + 1, random));
    }
    case 'object':
    case undefined:
      return randomFields(schema, depth, random);
  }
}

function randomFields(schema: JsonSchema, depth: number, random: Random): Record<string, unknown> {
  const { properties, additionalProperties, required = [] } = schema;
  const fields = Object.entries(properties ?? {});
  const chance = (depth < 2 ? 3.5 : 1.8) / fields.length;
  const wanted = properties
    ? fields.filter(([name]) => random() < (required.includes(name) ? 0.97 : chance))
    : ['a', 'k8s.io/x', '80']
        .slice(0, pick([0, 1, 2], random))
        .map((name) => [name, additionalProperties ?? {}] as const);
  const object = Object.fromEntries(wanted.map(([name, inner]) => [name, randomValue(inner, depth + 1, random)]));
  return random() < 0.01 ? { ...object, nobodyKnows: 1 } : object;
}
