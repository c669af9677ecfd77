import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linesOf } from '../istio/validator-table.ts';
import { validateProxyExtension } from './proxy-extension.ts';

const lines = (inline: string): string[] => linesOf(validateProxyExtension, { source: { inline } });

test('a module of an extension must be one, and make a filter', () => {
  assert.deepEqual(lines('export default (config: unknown) => ({});'), []);
  assert.deepEqual(lines('const create = () => ({}); export { create as default };'), []);
  assert.match(lines('export default ((')[0] ?? '', /^spec\.source\.inline: .*must be a module/);
  assert.match(lines('export const x = 1;')[0] ?? '', /must have a default export/);
  assert.deepEqual(linesOf(validateProxyExtension, { source: { configMap: { name: 'x' } } }), []);
});
