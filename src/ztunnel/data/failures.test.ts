import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AmbitError } from '../../lib/errors.ts';
import { HboneRefusedError } from '../../hbone/index.ts';
import { describeFailure, flagsOf, flagsOfCut, type FailureContext } from './failures.ts';
import type { ResponseFlags } from './traffic.ts';

function failure(...codes: string[]): Error {
  // Outermost first, as the pool wraps what its dial threw.
  return codes
    .toReversed()
    .reduce<Error | undefined>(
      (cause, code) => new AmbitError(`it failed: ${code}`, { code, blame: 'upstream', cause }),
      undefined,
    ) as Error;
}

const outbound: FailureContext = { direction: 'outbound', protocol: 'HBONE', actualDst: '10.0.0.1:15008' };
const inbound: FailureContext = { ...outbound, direction: 'inbound' };
const plain: FailureContext = { direction: 'outbound', protocol: 'TCP', actualDst: '10.0.0.1:80' };

test('every code has the flag that dashboards know, by its innermost cause', () => {
  const expected: [ResponseFlags, ...string[]][] = [
    ['DENY', 'policy.denied'],
    ['DENY', 'policy.some-new-reason'],
    ['DENY', 'outbound.registry-only'],
    ['IDENTITY_ERROR', 'identity.unavailable'],
    ['IDENTITY_ERROR', 'hbone.dial-failed', 'identity.not-issued'],
    ['CERT_REVOKED', 'hbone.dial-failed', 'identity.revoked'],
    ['TLS_FAILURE', 'hbone.dial-failed', 'identity.expired'],
    ['TLS_FAILURE', 'identity.some-new-reason'],
    ['H2_HANDSHAKE_FAILURE', 'h2.protocol-error'],
    ['NETWORK_POLICY', 'hbone.dial-timeout'],
    ['NETWORK_POLICY', 'hbone.dial-failed', 'net.connect-timeout'],
    ['CONNECT', 'net.connect-timeout'],
    ['CONNECT', 'hbone.dial-failed', 'net.connection-refused'],
    ['CONNECT', 'hbone.refused'],
    ['CONNECT', 'outbound.no-healthy-upstream'],
    ['CONNECT', 'inbound.not-ready'],
  ];
  for (const [flags, ...codes] of expected) assert.equal(flagsOf(failure(...codes)), flags, codes.join(' < '));
  assert.equal(flagsOf(new Error('anything')), 'CONNECT');
});

test('what cuts a live connection is a failure only where a policy or a revocation did', () => {
  assert.equal(flagsOfCut(failure('policy.changed')), 'DENY');
  assert.equal(flagsOfCut(failure('identity.revoked')), 'CERT_REVOKED');
  for (const code of ['ztunnel.drained', 'ztunnel.pod-removed', 'net.reset'])
    assert.equal(flagsOfCut(failure(code)), '-');
});

test('the message says what to look at, for where it failed', () => {
  const refused = failure('hbone.dial-failed', 'net.connection-refused');
  assert.match(
    describeFailure(refused, outbound),
    /^it failed: hbone\.dial-failed: no ztunnel takes connections there/,
  );
  assert.match(describeFailure(failure('net.connection-refused'), inbound), /may listen on localhost only/);
  assert.match(describeFailure(failure('net.connection-refused'), plain), /nothing listens on 10\.0\.0\.1:80$/);
  assert.match(
    describeFailure(failure('hbone.dial-failed', 'net.connect-timeout'), outbound),
    /NetworkPolicy .* port 15008/,
  );
  assert.match(describeFailure(failure('net.connect-timeout'), inbound), /may be overloaded/);
  assert.match(describeFailure(failure('identity.expired'), outbound), /a clock is wrong/);
  assert.match(describeFailure(failure('identity.unknown-authority'), inbound), /trust different roots/);
  assert.match(
    describeFailure(failure('identity.not-issued'), outbound),
    /control plane must be reachable on port 15012/,
  );
  assert.equal(describeFailure(failure('policy.denied'), inbound), 'it failed: policy.denied');
});

test('nothing is said twice, and the reason of a peer is enough', () => {
  const timeout = new AmbitError('no answer (a NetworkPolicy may block port 15008)', {
    code: 'hbone.dial-timeout',
    blame: 'upstream',
  });
  assert.equal(describeFailure(timeout, outbound), timeout.message);
  assert.match(
    describeFailure(new HboneRefusedError(503, undefined), outbound),
    /503: the access log of the destination/,
  );
  assert.doesNotMatch(describeFailure(new HboneRefusedError(401, 'denied by x'), outbound), /access log/);
});
