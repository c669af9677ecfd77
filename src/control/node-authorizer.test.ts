import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Pod, PodPhase } from '../api/core.ts';
import { spiffeId } from '../api/names.ts';
import type { Caller } from './caller.ts';
import { authorizeIdentity, type IdentityVerdict } from './node-authorizer.ts';
import { PodDirectory } from './pod-directory.ts';

function pod(
  namespace: string,
  name: string,
  serviceAccount: string,
  nodeName: string,
  phase: PodPhase = 'Running',
): Pod {
  return {
    metadata: { namespace, name, uid: `uid-${name}` },
    spec: { serviceAccountName: serviceAccount, nodeName, containers: [] },
    status: { phase },
  };
}

const pods = new PodDirectory();
for (const one of [
  pod('istio-system', 'ztunnel-1', 'ztunnel', 'node-1'),
  pod('shop', 'web-1', 'web', 'node-1'),
  pod('shop', 'done-1', 'batch', 'node-1', 'Succeeded'),
  pod('shop', 'api-2', 'api', 'node-2'),
]) {
  pods.set(one);
}

const ztunnel: Caller = {
  namespace: 'istio-system',
  serviceAccount: 'ztunnel',
  pod: { name: 'ztunnel-1', uid: 'uid-ztunnel-1' },
};

function ask(caller: Caller, id: string | undefined): IdentityVerdict {
  return authorizeIdentity({
    caller,
    impersonated: id as never,
    trustDomain: 'cluster.local',
    trustedAccounts: new Set(['istio-system/ztunnel']),
    pods,
  });
}

function refusal(caller: Caller, id: string): string {
  const verdict = ask(caller, id);
  assert.ok(verdict.kind === 'refuse', `${id} is refused`);
  return verdict.reason;
}

describe('the node authorizer', () => {
  const web = spiffeId('cluster.local', 'shop', 'web');

  it('gives a caller its own identity', () => {
    const caller = { namespace: 'shop', serviceAccount: 'web' };
    assert.deepEqual(ask(caller, undefined), { kind: 'allow', identity: web });
  });

  it("gives a ztunnel the identities of its node's pods", () => {
    assert.deepEqual(ask(ztunnel, web), { kind: 'allow', identity: web });
  });

  it('refuses identities of other nodes, of pods that ended, and of nobody', () => {
    assert.match(
      refusal(ztunnel, spiffeId('cluster.local', 'shop', 'api')),
      /no pod of "shop\/api" runs on node "node-1"/,
    );
    assert.match(refusal(ztunnel, spiffeId('cluster.local', 'shop', 'batch')), /no pod/);
    assert.match(refusal(ztunnel, spiffeId('cluster.local', 'kube-system', 'web')), /no pod/);
  });

  it('gives everybody their own, also when they name it', () => {
    const own = { namespace: 'shop', serviceAccount: 'web' };
    assert.deepEqual(
      authorizeIdentity({
        caller: own,
        impersonated: web,
        trustDomain: 'cluster.local',
        trustedAccounts: new Set(),
        pods,
      }),
      { kind: 'allow', identity: web },
    );
    const foreign = spiffeId('evil.example', 'shop', 'web');
    assert.match(refusal(own, foreign), /may not act for others/);
  });

  it('refuses another trust domain', () => {
    assert.match(refusal(ztunnel, spiffeId('evil.example', 'shop', 'web')), /trust domain "evil.example"/);
  });

  it('refuses whoever is no ztunnel, or no ztunnel of a pod that runs as such', () => {
    assert.match(refusal({ ...ztunnel, namespace: 'shop' }, web), /may not act for others/);
    assert.match(refusal({ ...ztunnel, serviceAccount: 'istio-cni' }, web), /may not act for others/);
    const { pod: _, ...unbound } = ztunnel;
    assert.match(refusal(unbound, web), /not bound to a pod/);
    assert.match(refusal({ ...ztunnel, pod: { name: 'ztunnel-1', uid: 'old' } }, web), /not the one of the token/);
    assert.match(refusal({ ...ztunnel, pod: { name: 'gone', uid: 'x' } }, web), /is not known/);
    pods.set(pod('istio-system', 'liar', 'default', 'node-2'));
    assert.match(refusal({ ...ztunnel, pod: { name: 'liar', uid: 'uid-liar' } }, web), /does not run as/);
  });

  it('follows pods that move and go', () => {
    pods.set(pod('shop', 'mover', 'mover', 'node-2'));
    const mover = spiffeId('cluster.local', 'shop', 'mover');
    assert.equal(ask(ztunnel, mover).kind, 'refuse');
    pods.set(pod('shop', 'mover', 'mover', 'node-1'));
    assert.equal(ask(ztunnel, mover).kind, 'allow');
    pods.delete(pod('shop', 'mover', 'mover', 'node-1'));
    assert.equal(ask(ztunnel, mover).kind, 'refuse');
  });
});
