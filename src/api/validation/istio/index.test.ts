import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ambitKinds } from '../../custom/ambit/index.ts';
import { istioKinds } from '../../custom/istio/index.ts';
import { viewOf } from '../../field-view.ts';
import { kinds } from '../../kinds.ts';
import type { JsonSchema } from '../../schema/schema.ts';
import { istioValidators, validateIstio } from './index.ts';
import { validateAuthorizationPolicy } from './authorization-policy.ts';
import { validatePeerAuthentication } from './peer-authentication.ts';
import { linesOf } from './validator-table.ts';

/** Values of the shape of a schema, in which any part may be anything. */
function roughly(schema: JsonSchema): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 1, arbitrary: fc.jsonValue({ maxDepth: 1 }) }, { weight: 8, arbitrary: shaped(schema) });
}

function shaped(schema: JsonSchema): fc.Arbitrary<unknown> {
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.items) return fc.array(fc.oneof(roughly(schema.items)), { maxLength: 2 });
  if (schema.additionalProperties) return fc.dictionary(texts, roughly(schema.additionalProperties), { maxKeys: 2 });
  if (schema.properties) {
    const fields = Object.entries(schema.properties).map(([name, field]) => [
      name,
      fc.option(roughly(field), { freq: 1, nil: null }),
    ]);
    return fc.record(Object.fromEntries(fields) as Record<string, fc.Arbitrary<unknown>>, { requiredKeys: [] });
  }
  return schema.type === 'string' ? texts : fc.jsonValue({ maxDepth: 1 });
}

/** Of our own kinds some say all in their schemas. */
const validatedKinds = [...istioKinds, ...ambitKinds].filter(({ ref }) =>
  istioValidators.has(`${ref.group}/${ref.kind}`),
);

const texts = fc.constantFrom(
  '',
  'a',
  '*',
  'a.b',
  '10.0.0.0/8',
  'unix:///x',
  '5s',
  '(',
  '%',
  '{"keys":[{}]}',
  '~/a',
  '@request.auth.claims.a',
  '\u{1f600}',
);

describe("the rules of Istio's kinds", () => {
  it('are there for every kind that has a schema', () => {
    for (const { ref } of istioKinds) assert.ok(istioValidators.has(`${ref.group}/${ref.kind}`), ref.kind);
    assert.equal(validatedKinds.length, istioValidators.size);
  });

  it('refuse a kind that they do not know', () => {
    const { errors } = validateIstio({ group: 'networking.istio.io', kind: 'Other' }, viewOf({}));
    assert.deepEqual(
      errors.map(({ path }) => path),
      ['kind'],
    );
  });

  it('hold whatever the JSON is', () => {
    for (const { ref, versions } of validatedKinds) {
      const [version] = versions;
      assert.ok(version);
      fc.assert(
        fc.property(roughly(version.schema), (object) => {
          const { errors, warnings } = validateIstio(ref, viewOf(object));
          for (const { path, message } of errors) assert.ok(typeof path === 'string' && message !== '');
          for (const text of warnings) assert.ok(text !== '');
        }),
        { numRuns: 60, seed: 7 },
      );
    }
  });

  it("keep the control plane's own annotations to it", () => {
    for (const { ref } of validatedKinds) {
      const object = { metadata: { annotations: { 'internal.istio.io/parents': 'x' } } };
      const { errors } = validateIstio(ref, viewOf(object));
      assert.ok(
        errors.some(({ path, reason }) => path.startsWith('metadata.annotations[') && reason === 'FieldValueForbidden'),
        ref.kind,
      );
    }
  });

  it('take a dry run where there can be one', () => {
    const rules = [{}];
    const dryRun = (value: unknown): Record<string, unknown> => ({ 'istio.io/dry-run': value });
    assert.deepEqual(linesOf(validateAuthorizationPolicy, { action: 'DENY', rules }, dryRun('true')), []);
    assert.deepEqual(linesOf(validateAuthorizationPolicy, { action: 'ALLOW', rules }, dryRun('yes')), [
      'metadata.annotations[istio.io/dry-run]: Invalid value: "yes": must be true or false',
    ]);
    assert.deepEqual(linesOf(validateAuthorizationPolicy, { action: 'AUDIT', rules }, dryRun('true')), [
      'metadata.annotations[istio.io/dry-run]: Forbidden: a dry run of AUDIT is not supported: use ALLOW or DENY',
    ]);
  });

  it('take a block of addresses exactly when it is one', () => {
    const policy = (block: string): string[] =>
      linesOf(validateAuthorizationPolicy, { rules: [{ from: [{ source: { ipBlocks: [block] } }] }] });
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 0, max: 40 }), (ip, bits) => {
        assert.equal(policy(`${ip}/${bits}`).length, bits <= 32 ? 0 : 1);
      }),
    );
    for (const text of ['10.0.0', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0.0/08', 'fd00::/129', 'host', ' 10.0.0.1']) {
      assert.equal(policy(text).length, 1, text);
    }
  });

  it('take an object without a spec, where all of it is optional', () => {
    assert.deepEqual(linesOf(validatePeerAuthentication, undefined), []);
    assert.deepEqual(validateIstio(kinds.Telemetry, viewOf({})).errors, []);
  });
});
