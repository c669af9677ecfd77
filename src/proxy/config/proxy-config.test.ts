import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownIdentity, parseProxyConfig } from './proxy-config.ts';

const env = { POD_NAME: 'wp-1', POD_NAMESPACE: 'shop', SERVICE_ACCOUNT: 'wp', CA_ADDR: 'control:15012' };

test('a proxy is what its pod says, with defaults for the rest', () => {
  const config = parseProxyConfig('waypoint', {
    ...env,
    ISTIO_META_NETWORK: 'n1',
    TERMINATION_GRACE_PERIOD_SECONDS: '60',
  });
  assert.equal(config.controlPlane.address, 'https://control:15012');
  assert.equal(config.network, 'n1');
  assert.deepEqual(config.metadata, { NETWORK: 'n1' });
  assert.equal(config.terminationDeadlineMs, 55_000);
  assert.equal(config.maxConnections, undefined);
  assert.equal(parseProxyConfig('waypoint', { ...env, MAX_CONNECTIONS: '500' }).maxConnections, 500);
  assert.equal(ownIdentity(config), 'spiffe://cluster.local/ns/shop/sa/wp');
});

test('all problems are named at once', () => {
  assert.throws(
    () => parseProxyConfig('x', { CA_ADDR: 'http://a', MAX_CONNECTIONS: '0', LOG_LEVEL: 'access:debug' }),
    /the role is "x".*; POD_NAME is not set; POD_NAMESPACE is not set; SERVICE_ACCOUNT is not set; CA_ADDR is "http:\/\/a"[^;]*; MAX_CONNECTIONS is "0"[^;]*; LOG_LEVEL is "access:debug".*Unknown scope "access": there are admin, /,
  );
});
