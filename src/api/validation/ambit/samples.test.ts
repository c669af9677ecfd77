import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { loadAll } from 'js-yaml';
import { checkCustomObject } from '../../custom/check-object.ts';
import { customKinds } from '../../custom/index.ts';
import { viewOf } from '../../field-view.ts';
import type { KubeObject } from '../../meta.ts';
import { validateIstio } from '../istio/index.ts';

describe('a sample of policies', () => {
  const folder = new URL('../../../../samples/policies/', import.meta.url);
  for (const file of readdirSync(folder)) {
    it(`passes without a warning: ${file}`, () => {
      for (const object of loadAll(readFileSync(new URL(file, folder), 'utf8')) as KubeObject[]) {
        const kind = customKinds.find(({ ref }) => ref.kind === object.kind);
        assert.ok(kind, `kind ${object.kind}`);
        const { errors, unknown } = checkCustomObject(kind, object);
        assert.deepEqual([errors, unknown], [[], []]);
        const { errors: refusals, warnings } = validateIstio(kind.ref, viewOf(object));
        assert.deepEqual([refusals, warnings], [[], []]);
      }
    });
  }
});
