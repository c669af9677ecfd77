import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createCertificateMethod } from './certificate.ts';
import { deltaDiscoveryMethod, type DeltaRequest, type DeltaResponse } from './discovery.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('delta discovery messages', () => {
  const { request, response } = deltaDiscoveryMethod;

  test('a request has the field numbers of the protocol', () => {
    const value: DeltaRequest = {
      node: { id: 'n', cluster: 'c', metadata: { A: 'b' }, buildVersion: 'v' },
      typeUrl: 't',
      subscribe: ['s'],
      unsubscribe: ['u'],
      initialVersions: new Map([['i', 'j']]),
      responseNonce: 'o',
      refusal: 'e',
    };
    const golden = [
      // node; its metadata is a Struct whose entry is { key: "A", value: { string_value: "b" } }
      '0a15' + '0a016e' + '120163' + '1a0a' + '0a08' + '0a0141' + '1203' + '1a0162' + '2a0176',
      '120174', // type_url
      '1a0173', // subscribe
      '220175', // unsubscribe
      '2a06' + '0a0169' + '12016a', // initial_resource_versions
      '32016f', // response_nonce
      '3a03' + '120165', // error_detail
    ].join('');
    assert.equal(hex(request.encode(value)), golden);
    assert.deepEqual(request.decode(Buffer.from(golden, 'hex')), value);
  });

  test('a response has the field numbers of the protocol', () => {
    const value: DeltaResponse = {
      typeUrl: 't',
      nonce: 'o',
      resources: [{ name: 'n', version: 'v', aliases: ['a'], body: Buffer.of(7) }],
      removed: ['r'],
    };
    const golden = [
      '1211' + '0a0176' + '1206' + '0a0174' + '120107' + '1a016e' + '220161',
      '220174',
      '2a016f',
      '320172',
    ].join('');
    assert.equal(hex(response.encode(value)), golden);
    assert.deepEqual(response.decode(Buffer.from(golden, 'hex')), value);
  });

  test('a resource of another type than its response is refused', () => {
    const bytes = Buffer.from('12091206' + '0a0178' + '120107' + '1a' + '00' + '220174', 'hex');
    assert.throws(() => response.decode(bytes), { code: /^wire\.malformed$/ });
  });
});

describe('certificate messages', () => {
  const { request, response } = createCertificateMethod;

  test('the bytes are those of the protocol, and values come back', () => {
    const plain = { csrPem: 'c', validitySeconds: 86400 };
    assert.equal(hex(request.encode(plain)), '0a0163' + '1880a305');
    assert.deepEqual(request.decode(request.encode(plain)), plain);
    const impersonating = { ...plain, impersonatedIdentity: 'spiffe://a/ns/b/sa/c' };
    assert.deepEqual(request.decode(request.encode(impersonating)), impersonating);
    assert.equal(hex(response.encode({ chain: ['a', 'b'] })), '0a0161' + '0a0162');
  });

  test('an impersonated identity that is no text is refused', () => {
    // metadata { "ImpersonatedIdentity": true }
    const key = Buffer.from('ImpersonatedIdentity');
    const entry = Buffer.concat([Buffer.of(0x0a, key.length), key, Buffer.from('12022001', 'hex')]);
    const metadata = Buffer.concat([Buffer.of(0x0a, entry.length), entry]);
    assert.throws(() => request.decode(Buffer.concat([Buffer.of(0x22, metadata.length), metadata])), {
      code: 'wire.malformed',
    });
  });
});
