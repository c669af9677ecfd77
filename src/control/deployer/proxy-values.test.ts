import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseProxyValues } from './proxy-values.ts';

describe('settings of deployed proxies', () => {
  it('are JSON with an image', () => {
    const text = '{"image":"a/b:c","waypoint":{"nodeSelector":{"pool":"mesh"}}}';
    assert.deepEqual(parseProxyValues(text), { image: 'a/b:c', waypoint: { nodeSelector: { pool: 'mesh' } } });
  });

  it('say what is wrong with them', () => {
    const wrong: [text: string, message: RegExp][] = [
      ['{', /Cannot read the settings of deployed proxies: /],
      ['[]', /no JSON object/],
      ['{}', /image is not a name/],
      ['{"image":"a","sidecar":{}}', /unknown fields sidecar/],
    ];
    for (const [text, message] of wrong) assert.throws(() => parseProxyValues(text), message);
  });
});
