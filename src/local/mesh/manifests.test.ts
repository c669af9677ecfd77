import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { applyMergePatch, type JsonObject } from '../apiserver/merge-patch.ts';
import { readManifests, threeWayMergePatch } from './manifests.ts';

const podHead = 'apiVersion: v1\nkind: Pod\nmetadata: {name: ';

describe('manifests', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'ambit-manifests-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const write = (name: string, text: string): string => {
    const file = join(folder, name);
    writeFileSync(file, text);
    return file;
  };

  it('reads documents, lists and JSON, and puts first what others refer to', () => {
    const file = write(
      'all.yaml',
      `${podHead}a}\n---\n# nothing\n---\n${podHead}b}\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: n}}\n- {apiVersion: apps/v1, kind: Deployment, metadata: {name: d}}\n`,
    );
    const json = write('one.json', '{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"s"}}');
    const found = readManifests([file, json]).map(({ kind, object }) => `${kind}/${object.metadata.name}`);
    assert.deepEqual(found, ['Namespace/n', 'ServiceAccount/s', 'Pod/a', 'Pod/b', 'Deployment/d']);
    assert.equal(readManifests([file]).at(-1)?.source, `${file}, document 4`);
  });

  it('reads the manifests of a folder by name and leaves the rest alone', () => {
    const inside = join(folder, 'inside');
    mkdirSync(inside);
    writeFileSync(join(inside, 'b.yml'), `${podHead}b}`);
    writeFileSync(join(inside, 'a.yaml'), `${podHead}a}`);
    writeFileSync(join(inside, 'readme.md'), '# not a manifest: [');
    assert.deepEqual(
      readManifests([inside]).map(({ object }) => object.metadata.name),
      ['a', 'b'],
    );
  });

  it('keeps the version that the document asks for', () => {
    const file = write(
      'beta.yaml',
      'apiVersion: security.istio.io/v1beta1\nkind: PeerAuthentication\nmetadata: {name: p}\n',
    );
    assert.equal(readManifests([file])[0]?.apiVersion, 'security.istio.io/v1beta1');
  });

  it('names the file and the document of every problem, all at once', () => {
    const broken = write('broken.yaml', 'a: [1\n');
    const wrong = write('wrong.yaml', `${podHead}fine}\n---\nkind: Pod\n---\napiVersion: v1\nkind: Pod\n---\n- 1\n`);
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    const missing = join(folder, 'missing.yaml');
    assert.throws(
      () => readManifests([broken, wrong, empty, missing]),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'local.manifest');
        for (const part of [
          `${broken}, line 2: deficient indentation`,
          `${wrong}, document 2: it has no apiVersion and kind`,
          `${wrong}, document 3: Pod has no metadata.name`,
          `${wrong}, document 4: it has no apiVersion and kind`,
          `${empty} has no .yaml, .yml or .json file`,
          `there is no file or folder ${missing}`,
        ]) {
          assert.ok(error.message.includes(part), `"${part}" in "${error.message}"`);
        }
        assert.ok(!error.message.includes('document 1:'));
        return true;
      },
    );
  });
});

describe('threeWayMergePatch', () => {
  const key = fc.oneof(fc.constantFrom('a', 'b', 'c', 'd', '__proto__', 'constructor'), fc.string());
  const leaf = fc.oneof(fc.integer(), fc.string(), fc.boolean(), fc.array(fc.integer(), { maxLength: 3 }));
  const fields: fc.Arbitrary<JsonObject> = fc.letrec<{ fields: JsonObject }>((tie) => ({
    fields: fc.dictionary(key, fc.oneof({ depthSize: 'small' }, leaf, tie('fields')), {
      maxKeys: 4,
      noNullPrototype: true,
    }) as fc.Arbitrary<JsonObject>,
  })).fields;

  /** Everything that `wanted` names is so in `result`. */
  const assertWanted = (wanted: JsonObject, result: JsonObject): void => {
    for (const [name, value] of Object.entries(wanted)) {
      const found = Object.hasOwn(result, name) ? result[name] : undefined;
      if (isObject(value) && isObject(found)) assertWanted(value, found);
      else assert.deepEqual(found, value);
    }
  };
  /** Nothing is there that was applied before and is wanted no more. */
  const assertRemoved = (previous: JsonObject, wanted: JsonObject, result: JsonObject): void => {
    for (const [name, value] of Object.entries(previous)) {
      if (!Object.hasOwn(wanted, name)) assert.ok(!Object.hasOwn(result, name), name);
      else {
        const [then, now] = [wanted[name], result[name]];
        if (isObject(value) && isObject(then) && isObject(now)) assertRemoved(value, then, now);
      }
    }
  };
  /** What somebody else set beside it is still there. */
  const assertKept = (
    objects: { previous: JsonObject; wanted: JsonObject; current: JsonObject },
    result: JsonObject,
  ): void => {
    for (const [name, value] of Object.entries(objects.current)) {
      if (!Object.hasOwn(objects.previous, name) && !Object.hasOwn(objects.wanted, name))
        assert.deepEqual(result[name], value);
    }
  };

  it('sets what is wanted, removes what was applied before, keeps the rest', () => {
    fc.assert(
      fc.property(fields, fields, fields, (previous, wanted, current) => {
        const result = applyMergePatch(
          current,
          threeWayMergePatch(previous, wanted, current) as JsonObject,
        ) as JsonObject;
        assertWanted(wanted, result);
        assertRemoved(previous, wanted, result);
        assertKept({ previous, wanted, current }, result);
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it('asks for nothing the second time', () => {
    fc.assert(
      fc.property(fields, fields, fields, (previous, wanted, current) => {
        const result = applyMergePatch(
          current,
          threeWayMergePatch(previous, wanted, current) as JsonObject,
        ) as JsonObject;
        assert.deepEqual(threeWayMergePatch(wanted, wanted, result), {});
      }),
      { seed: 2, numRuns: 500 },
    );
  });

  it('replaces lists as a whole', () => {
    assert.deepEqual(threeWayMergePatch({ l: [1, 2] }, { l: [1] }, { l: [1, 2, 3] }), { l: [1] });
    assert.deepEqual(threeWayMergePatch({ l: [1] }, { l: [1] }, { l: [1] }), {});
  });

  it('leaves what others added to a list that is wanted as before, and brings back what they took or changed', () => {
    const wanted = { l: [{ name: 'a' }, { name: 'b', mounts: [1] }] };
    const more = { l: [{ name: 'a', policy: 'x' }, { name: 'added' }, { name: 'b', mounts: [1, 2] }] };
    assert.deepEqual(threeWayMergePatch(wanted, wanted, more), {});
    for (const l of [[{ name: 'a' }], [{ name: 'a' }, { name: 'b', mounts: [2] }], wanted.l.toReversed(), 'no list'])
      assert.deepEqual(threeWayMergePatch(wanted, wanted, { l }), wanted);
    assert.deepEqual(threeWayMergePatch({ l: [] }, wanted, more), wanted);
  });

  it('takes null for absent', () => {
    assert.deepEqual(threeWayMergePatch({}, { a: null }, {}), {});
    assert.deepEqual(threeWayMergePatch({}, { a: null }, { a: 1 }), { a: null });
  });
});

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
