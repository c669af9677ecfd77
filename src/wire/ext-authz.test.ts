import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type CheckAttributes, type CheckedRequest, checkMethod } from './ext-authz.ts';
import { type CheckResponseInit, readCheckRequest, writeCheckResponse } from './policy-service-fixtures.ts';

const request: CheckedRequest = {
  timeMs: 1_700_000_000_250,
  id: 'id-1',
  method: 'GET',
  headers: new Map([
    [':path', '/a?b=c'],
    ['x-name', 'J\u00c3\u00bcrgen'],
  ]),
  path: '/a?b=c',
  host: 'web:80',
  scheme: 'http',
  size: -1,
  protocol: 'HTTP/1.1',
  body: undefined,
};

const attributes: CheckAttributes = {
  source: { address: '10.0.0.1', port: 4000, principal: 'spiffe://cluster.local/ns/a/sa/b' },
  destination: { address: '10.96.0.1', port: 80, principal: '' },
  sni: '',
  request,
};

const decode = (response: CheckResponseInit): unknown => checkMethod.decodeResponse(writeCheckResponse(response));

describe('ext_authz check', () => {
  it('says all that is known of a request', () => {
    const sent = readCheckRequest(checkMethod.encodeRequest(attributes)).attributes;
    assert.equal(sent?.source?.address?.socketAddress?.address, '10.0.0.1');
    assert.equal(sent.source.address.socketAddress.portValue, 4000);
    assert.equal(sent.source.principal, 'spiffe://cluster.local/ns/a/sa/b');
    assert.equal(sent.destination?.address?.socketAddress?.portValue, 80);
    assert.equal(sent.request?.time?.seconds, 1_700_000_000n);
    assert.equal(sent.request.time.nanos, 250_000_000);
    const { http } = sent.request;
    assert.deepEqual({ ...http?.headers }, { ':path': '/a?b=c', 'x-name': 'Jürgen' });
    assert.equal(http?.query, 'b=c');
    assert.equal(http.size, -1n);
    assert.equal(http.body, '');
    assert.equal(sent.tlsSession, undefined);
  });

  it('sends a body as text or as bytes', () => {
    const bytes = Buffer.from([0xff, 0x41]);
    const bodyOf = (asBytes: boolean) =>
      readCheckRequest(checkMethod.encodeRequest({ ...attributes, request: { ...request, body: { bytes, asBytes } } }))
        .attributes?.request?.http;
    assert.deepEqual(Buffer.from(bodyOf(true)?.rawBody ?? []), bytes);
    assert.equal(bodyOf(false)?.body, '\ufffdA');
  });

  it('says of a connection without HTTP who is at its ends, and nothing of a request', () => {
    const sent = readCheckRequest(
      checkMethod.encodeRequest({ ...attributes, sni: 'db.example', request: undefined }),
    ).attributes;
    assert.equal(sent?.source?.principal, 'spiffe://cluster.local/ns/a/sa/b');
    assert.equal(sent.destination?.address?.socketAddress?.address, '10.96.0.1');
    assert.equal(sent.request, undefined);
    assert.equal(sent.tlsSession?.sni, 'db.example');
  });

  it('reads what an authorizer allows, and what it wants changed', () => {
    assert.deepEqual(
      decode({
        status: { code: 0 },
        httpResponse: {
          case: 'okResponse',
          value: {
            headers: [
              { header: { key: 'X-User', value: 'ann' } },
              { header: { key: 'x-more', value: 'b' }, append: true },
              { header: { key: 'x-new', value: 'c' }, appendAction: 1 },
              { header: { key: 'x-old', value: 'd' }, appendAction: 3 },
            ],
            headersToRemove: ['X-Secret'],
            responseHeadersToAdd: [
              { header: { key: 'set-cookie', rawValue: Buffer.from('a=\u00fc') } },
              { header: { key: 'x-one', value: 'e' }, append: false },
            ],
            queryParametersToSet: [{ key: 'a', value: 'b' }],
            queryParametersToRemove: ['c'],
          },
        },
      }),
      {
        kind: 'allowed',
        requestHeaders: [
          { name: 'x-user', value: 'ann', how: 'set' },
          { name: 'x-more', value: 'b', how: 'append' },
          { name: 'x-new', value: 'c', how: 'add-if-absent' },
          { name: 'x-old', value: 'd', how: 'set-if-present' },
        ],
        requestHeadersToRemove: ['x-secret'],
        responseHeaders: [
          { name: 'set-cookie', value: 'a=\u00c3\u00bc', how: 'append' },
          { name: 'x-one', value: 'e', how: 'set' },
        ],
        query: { set: [['a', 'b']], remove: ['c'] },
      },
    );
  });

  it('reads what an authorizer denies, with or without an answer for the client', () => {
    assert.deepEqual(decode({ status: { code: 7, message: 'no' } }), {
      kind: 'denied',
      status: 0,
      headers: [],
      body: '',
      message: 'no',
    });
    const denied = decode({
      status: { code: 16 },
      httpResponse: {
        case: 'deniedResponse',
        value: { status: { code: 302 }, headers: [{ header: { key: 'location', value: '/login' } }], body: 'go' },
      },
    });
    assert.deepEqual(denied, {
      kind: 'denied',
      status: 302,
      headers: [{ name: 'location', value: '/login', how: 'append' }],
      body: 'go',
      message: '',
    });
  });

  it('never takes an OK answer inside of a denial for permission', () => {
    const answer = decode({ status: { code: 7 }, httpResponse: { case: 'okResponse', value: {} } });
    assert.equal((answer as { kind: string }).kind, 'denied');
  });

  it('tells an authorizer that failed from one that denies', () => {
    const answer = decode({ httpResponse: { case: 'errorResponse', value: { body: 'no database' } } });
    assert.deepEqual(answer, { kind: 'failed', message: 'no database' });
  });

  const refused: [string, CheckResponseInit][] = [
    [
      'a name that is none',
      { httpResponse: { case: 'okResponse', value: { headers: [{ header: { key: 'a b', value: 'c' } }] } } },
    ],
    [
      'a pseudo field',
      { httpResponse: { case: 'okResponse', value: { headers: [{ header: { key: ':path', value: '/' } }] } } },
    ],
    [
      'a value with a line break',
      { httpResponse: { case: 'okResponse', value: { headers: [{ header: { key: 'a', value: 'b\r\nc: d' } }] } } },
    ],
    [
      'a status that is none',
      { status: { code: 7 }, httpResponse: { case: 'deniedResponse', value: { status: { code: 100 } } } },
    ],
  ];
  for (const [what, response] of refused) {
    it(`refuses ${what}`, () => assert.throws(() => decode(response), { code: 'wire.malformed' }));
  }

  it('refuses bytes that are no message', () => {
    assert.throws(() => checkMethod.decodeResponse(Buffer.from([0xff])), { code: 'wire.malformed' });
  });
});
