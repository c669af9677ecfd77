import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Pod } from '../api/core.ts';
import type { Caller } from './caller.ts';
import { authorizeProxy, type ProxyVerdict } from './proxy-authorizer.ts';

const caller: Caller = { namespace: 'shop', serviceAccount: 'wp', pod: { name: 'wp-1', uid: 'u1' } };
const pod: Pod = {
  metadata: { name: 'wp-1', namespace: 'shop', uid: 'u1', labels: { 'gateway.networking.k8s.io/gateway-name': 'wp' } },
  spec: { serviceAccountName: 'wp', containers: [] },
};
const accounts: Readonly<Record<string, string>> = { 'shop/wp': 'wp', 'shop/other': 'other' };
const decide = (more: { caller?: Partial<Caller>; pod?: Pod | undefined } = {}): ProxyVerdict =>
  authorizeProxy({
    caller: { ...caller, ...more.caller },
    pod: 'pod' in more ? more.pod : pod,
    accountOf: (namespace, gateway) => accounts[`${namespace}/${gateway}`],
  });
const reason = (verdict: ProxyVerdict): string =>
  verdict.kind === 'refuse' ? `${verdict.transient ? 'for now: ' : ''}${verdict.reason}` : verdict.gateway;

describe('a caller', () => {
  it("is a Gateway's proxy when its pod is labelled so and runs as the Gateway's account", () => {
    assert.deepEqual(decide(), { kind: 'proxy', gateway: 'shop/wp' });
  });

  it('is none without a pod that the token is bound to', () => {
    const { pod: _bound, ...unbound } = caller;
    const verdict = authorizeProxy({ caller: unbound, pod, accountOf: () => 'wp' });
    assert.match(reason(verdict), /^service account "shop\/wp" .* bound to no pod$/);
    assert.match(reason(decide({ pod: undefined })), /^for now: .* not known$/);
    assert.match(reason(decide({ caller: { pod: { name: 'wp-1', uid: 'u0' } } })), /^for now: .* not known$/);
  });

  it('is none by a label alone', () => {
    const stranger: Pod = { ...pod, spec: { ...pod.spec, serviceAccountName: 'app' } };
    assert.match(reason(decide({ caller: { serviceAccount: 'app' }, pod: stranger })), /run as "wp", not as "app"$/);
    assert.match(reason(decide({ pod: stranger })), /does not run as "shop\/wp"$/);
  });

  it('is none without the label, without the Gateway, or when its pod has ended', () => {
    const labelled = (labels: Record<string, string>): Pod => ({ ...pod, metadata: { ...pod.metadata, labels } });
    assert.match(reason(decide({ pod: labelled({}) })), /of no Gateway$/);
    const gone = labelled({ 'gateway.networking.k8s.io/gateway-name': 'gone' });
    assert.match(reason(decide({ pod: gone })), /^for now: there is no Gateway "shop\/gone"/);
    const other = labelled({ 'gateway.networking.k8s.io/gateway-name': 'other' });
    assert.match(reason(decide({ pod: other })), /run as "other", not as "wp"$/);
    assert.match(reason(decide({ pod: { ...pod, status: { phase: 'Succeeded' } } })), /does not run as/);
  });
});
