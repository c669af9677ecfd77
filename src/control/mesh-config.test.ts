import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseMeshConfig } from './mesh-config.ts';

describe('the mesh configuration', () => {
  it('says which namespaces are in, and what workloads may reach', () => {
    const { config, ignored } = parseMeshConfig(
      'discoverySelectors: [{ matchLabels: { mesh: "yes" } }]\noutboundTrafficPolicy: { mode: REGISTRY_ONLY }\n',
    );
    assert.deepEqual(config, {
      discoverySelectors: [{ matchLabels: { mesh: 'yes' } }],
      outboundTrafficPolicy: 'registry-only',
    });
    assert.deepEqual(ignored, []);
    for (const empty of ['', '\n', '# nothing yet\n', '{}']) {
      assert.deepEqual(parseMeshConfig(empty).config, { discoverySelectors: [] });
    }
    assert.equal(parseMeshConfig('outboundTrafficPolicy: {mode: ALLOW_ANY}').config.outboundTrafficPolicy, 'allow-any');
  });

  it('has further names of the trust domain', () => {
    const { config } = parseMeshConfig('trustDomainAliases: [old.example, older.example]');
    assert.deepEqual(config.trustDomainAliases, ['old.example', 'older.example']);
    for (const text of ['trustDomainAliases: old.example', 'trustDomainAliases: ["spiffe://old.example"]']) {
      assert.throws(() => parseMeshConfig(text), { code: 'control.mesh-config', message: /trustDomainAliases/ });
    }
  });

  it('is refused where a restriction in it cannot be read', () => {
    for (const text of [
      'outboundTrafficPolicy: REGISTRY_ONLY',
      'outboundTrafficPolicy: { mode: registry_only }',
      'outboundTrafficPolicy: { mode: 1 }',
      'outboundTrafficPolicy: [REGISTRY_ONLY]',
      'discoverySelectors: { a: b }',
      '- a',
    ]) {
      assert.throws(() => parseMeshConfig(text), { code: 'control.mesh-config' }, text);
    }
  });

  it('names what it does not read', () => {
    const { ignored } = parseMeshConfig('outboundTrafficPolicy: { mod: REGISTRY_ONLY }\naccessLogFile: /dev/stdout');
    assert.deepEqual(ignored, ['accessLogFile', 'outboundTrafficPolicy.mod']);
  });
});
