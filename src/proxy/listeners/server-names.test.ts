import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EdgeServer, EdgeTls } from '../../api/l7/index.ts';
import type { ServerPlace } from '../engine/compiled-config.ts';
import { engineBench } from '../engine/engine-fixtures.ts';
import { hostOf, isStillServed, placeForHost, placeUnderTls } from './server-names.ts';

const none = { authorization: [], authentication: [], rateLimits: [], telemetry: [], extensions: [] };
const plainTls: EdgeTls = { mode: 'terminate', certificates: ['cert'], minVersion: 'TLSv1.2', cipherSuites: [] };
const mutualTls: EdgeTls = { ...plainTls, clientCa: { secret: 'ca', required: true } };

function server(name: string, hostname: string, tls: EdgeTls = plainTls): ServerPlace {
  const edge: EdgeServer = {
    name,
    protocol: 'https',
    hostname,
    tls,
    routes: name,
    policies: none,
    origin: { kind: 'Gateway', namespace: 'shop', name: 'edge', generation: 1 },
  };
  return { ...engineBench().place, server: edge };
}

const any = server('any', '*');
const secure = server('secure', 'secure.example.com', mutualTls);
const places = [any, secure];

test('the most specific server has a host', () => {
  assert.equal(placeForHost(places, hostOf('Secure.Example.com:8443')), secure);
  assert.equal(placeForHost(places, hostOf('[2001:db8::1]')), any);
});

test('a host of another server is not asked for under the name of one that demands less', () => {
  assert.equal(placeUnderTls(places, 'any', 'secure.example.com'), 'misdirected');
  assert.equal(placeUnderTls(places, 'any', 'SECURE.example.com:443'), 'misdirected');
  assert.equal(placeUnderTls(places, 'any', 'shop.example.com'), any);
  assert.equal(placeUnderTls(places, 'secure', 'secure.example.com'), secure);
  assert.equal(placeUnderTls([secure], 'secure', 'unknown.example.com'), secure);
  assert.equal(placeUnderTls([], 'secure', 'secure.example.com'), undefined);
});

test('a connection from before a server demanded certificates, or had the name, is served no more', () => {
  const before = server('secure', 'secure.example.com').server;
  assert.equal(isStillServed(places, 'secure.example.com', before), false);
  assert.equal(
    isStillServed(places, 'secure.example.com', { ...secure.server, tls: structuredClone(mutualTls) }),
    true,
  );
  assert.equal(isStillServed(places, 'secure.example.com', any.server), false);
  assert.equal(isStillServed([], 'secure.example.com', secure.server), false);
});
