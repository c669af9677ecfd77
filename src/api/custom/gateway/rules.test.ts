import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { loadAll } from 'js-yaml';
import { completeObject, completeObjects } from '../../../../test/support/gateway-api/complete.ts';
import { refusals, smallestObjects } from '../../../../test/support/gateway-api/refusals.ts';
import type { KubeObject } from '../../meta.ts';
import type { JsonSchema } from '../../schema/schema.ts';
import { checkCustomObject } from '../check-object.ts';
import type { CustomKind } from '../custom-kind.ts';
import { gatewayKinds } from './index.ts';

function kindOf(object: KubeObject): CustomKind {
  const found = gatewayKinds.find(({ ref }) => ref.kind === object.kind);
  assert.ok(found, `kind ${object.kind}`);
  return found;
}

function problemsOf(object: KubeObject, old?: KubeObject): string[] {
  const { errors } = checkCustomObject(kindOf(object), object, old);
  return errors.map(({ path, message }) => `${path}: ${message}`);
}

/** As stored: `object` with its defaults. */
function stored(kind: string, spec: object): { spec: never; status: unknown } {
  const { apiVersion = '', metadata } = completeObject(kind);
  const object = { apiVersion, kind, metadata, spec };
  const checked = checkCustomObject(kindOf(object), object);
  assert.deepEqual(checked.errors, []);
  return checked.object as unknown as { spec: never; status: unknown };
}

describe('an object of the Gateway API', () => {
  for (const object of [...completeObjects, ...smallestObjects]) {
    const { spec } = object as KubeObject & { spec: object };
    it(`passes as ${object.kind} with ${Object.keys(spec).length} fields of spec`, () => {
      const { errors, unknown } = checkCustomObject(kindOf(object), object);
      assert.deepEqual(errors, []);
      assert.deepEqual(unknown, []);
    });
  }
});

describe('a sample', () => {
  const folder = new URL('../../../../samples/gateway-api/', import.meta.url);
  for (const file of readdirSync(folder)) {
    it(`passes: ${file}`, () => {
      const objects = loadAll(readFileSync(new URL(file, folder), 'utf8')) as KubeObject[];
      const ours = objects.filter(({ apiVersion }) => apiVersion?.startsWith('gateway.networking'));
      assert.ok(ours.length > 0);
      for (const object of ours) {
        const { errors, unknown } = checkCustomObject(kindOf(object), object);
        assert.deepEqual([errors, unknown], [[], []]);
      }
    });
  }
});

describe('the Gateway API refuses', () => {
  for (const { what, object, old, message } of refusals) {
    it(what, () => {
      const problems = problemsOf(object, old);
      assert.ok(
        problems.some((problem) => problem.includes(message)),
        `${message}\n${problems.join('\n')}`,
      );
      if (old) assert.deepEqual(problemsOf(old, old), []);
    });
  }
});

describe('the examples', () => {
  it('break every rule that there is', () => {
    const untested: string[] = [];
    // Each is said by the schema too, before any rule is asked.
    const shadowed = new Set(["type must be one of ['Exact', 'PathPrefix', 'RegularExpression']"]);
    for (const { ref, versions } of gatewayKinds) {
      const messages = refusals.filter(({ object }) => object.kind === ref.kind).map(({ message }) => message);
      for (const message of new Set(versions.flatMap(({ schema }) => ruleMessages(schema)))) {
        if (shadowed.has(message)) continue;
        if (!messages.some((part) => message.includes(part))) untested.push(`${ref.kind}: ${message}`);
      }
    }
    assert.deepEqual(untested, []);
  });

  it('have every field that there is', () => {
    for (const object of completeObjects) {
      const { versions, ref } = kindOf(object);
      const schema = versions.find(({ name }) => name === ref.version)?.schema ?? {};
      // Alternatives, which no one object has at once.
      const elsewhere = /wellKnownCACertificates$/;
      const absent = absentFields(schema, [object], ref.kind).filter((path) => !elsewhere.test(path));
      assert.deepEqual(absent, []);
    }
  });
});

function ruleMessages(schema: JsonSchema): string[] {
  return [
    ...(schema['x-kubernetes-validations'] ?? []).map(({ message = '' }) => message),
    ...Object.values(schema.properties ?? {}).flatMap(ruleMessages),
    ...[schema.items, schema.additionalProperties].flatMap((inner) => (inner ? ruleMessages(inner) : [])),
  ];
}

/** Fields of the schema that none of `values` has. */
function absentFields(schema: JsonSchema, values: readonly unknown[], path: string): string[] {
  if (values.length === 0) return [path];
  const inner = schema.items;
  if (inner) return absentFields(inner, values.flat(), `${path}[]`);
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const found = values
      .map((value) => (value as Record<string, unknown>)[name])
      .filter((value) => value !== undefined);
    return absentFields(field, found, `${path}.${name}`);
  });
}

describe('defaults of the Gateway API', () => {
  it('make a route without rules match every path', () => {
    assert.deepEqual(stored('HTTPRoute', {}).spec, {
      rules: [{ matches: [{ path: { type: 'PathPrefix', value: '/' } }] }],
    });
  });

  it('make a match without a path one of every path, and leave a given value its type', () => {
    const { spec } = stored('HTTPRoute', { rules: [{ matches: [{ method: 'GET' }, { path: { value: '/a' } }] }] });
    assert.deepEqual(spec, {
      rules: [
        {
          matches: [
            { method: 'GET', path: { type: 'PathPrefix', value: '/' } },
            { path: { type: 'PathPrefix', value: '/a' } },
          ],
        },
      ],
    });
  });

  it('make a backend a Service of weight 1, and a parent a Gateway', () => {
    const { spec } = stored('TCPRoute', {
      parentRefs: [{ name: 'front' }],
      rules: [{ backendRefs: [{ name: 'db', port: 5432 }] }],
    });
    assert.deepEqual(spec, {
      parentRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'front' }],
      rules: [{ backendRefs: [{ group: '', kind: 'Service', name: 'db', port: 5432, weight: 1 }] }],
    });
  });

  it('let routes of the same namespace attach, and no ListenerSet', () => {
    const listener = { name: 'tls', port: 443, protocol: 'HTTPS', tls: { certificateRefs: [{ name: 'cert' }] } };
    const { spec } = stored('Gateway', { gatewayClassName: 'edge', listeners: [listener], allowedListeners: {} });
    assert.deepEqual(spec, {
      gatewayClassName: 'edge',
      listeners: [
        {
          ...listener,
          tls: { mode: 'Terminate', certificateRefs: [{ group: '', kind: 'Secret', name: 'cert' }] },
          allowedRoutes: { namespaces: { from: 'Same' } },
        },
      ],
      allowedListeners: { namespaces: { from: 'None' } },
    });
  });

  it('redirect with 302, mirror of a hundred, keep CORS answers for 5 s', () => {
    const backendRef = { group: '', kind: 'Service', name: 'a', port: 80 };
    const filters = [
      { type: 'RequestRedirect', requestRedirect: {} },
      { type: 'RequestMirror', requestMirror: { backendRef, fraction: { numerator: 1 } } },
      { type: 'CORS', cors: {} },
    ];
    const { spec } = stored('HTTPRoute', { rules: [{ filters }] });
    assert.deepEqual((spec as { rules: { filters: unknown }[] }).rules[0]?.filters, [
      { type: 'RequestRedirect', requestRedirect: { statusCode: 302 } },
      { type: 'RequestMirror', requestMirror: { backendRef, fraction: { numerator: 1, denominator: 100 } } },
      { type: 'CORS', cors: { maxAge: 5 } },
    ]);
  });

  it('allow a fifth of retries over 10 s, or 10 a second', () => {
    const target = { group: '', kind: 'Service', name: 'a' };
    const { spec } = stored('XBackendTrafficPolicy', { targetRefs: [target], retryConstraint: {} });
    assert.deepEqual(spec, {
      targetRefs: [target],
      retryConstraint: { budget: { percent: 20, interval: '10s' }, minRetryRate: { count: 10, interval: '1s' } },
    });
  });

  it('stand for null too, which is otherwise as good as absent', () => {
    const { spec } = stored('HTTPRoute', { hostnames: null, rules: [{ name: null, matches: null }] });
    assert.deepEqual(spec, { rules: [{ matches: [{ path: { type: 'PathPrefix', value: '/' } }] }] });
  });

  it('tell in an empty status that nobody has seen the object yet', () => {
    const object = { ...completeObject('Gateway'), status: {} } as KubeObject;
    const { status } = checkCustomObject(kindOf(object), object).object as unknown as {
      status: { conditions: { type: string; status: string; reason: string }[] };
    };
    assert.deepEqual(
      status.conditions.map(({ type, status: state, reason }) => `${type} ${state} ${reason}`),
      ['Accepted Unknown Pending', 'Programmed Unknown Pending'],
    );
  });
});
