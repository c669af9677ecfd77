import { deepEqual, rejects } from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Namespace, Pod } from '../api/index.ts';
import { KubeError } from '../kube/kube-error.ts';
import { PodAdmission } from './admission.ts';

const pod: Pod = { metadata: { name: 'web', namespace: 'shop', uid: 'u1' }, spec: { containers: [] } };
const asked = { namespace: 'shop', name: 'web', uid: 'u1', netns: '/run/netns/u1', ips: ['10.0.0.1'] };
const plain: Namespace = { metadata: { name: 'shop' } };
const labelled: Namespace = { metadata: { name: 'shop', labels: { 'istio.io/dataplane-mode': 'ambient' } } };

/** `followed`: what the agent follows of the namespace, look after look; `api`: what the API has; `enrolled`: what becomes of the enrolment. */
function open(t: TestContext, followed: (Namespace | undefined)[], api: Namespace, enrolled = true) {
  const stop = new AbortController();
  t.after(() => stop.abort());
  const did: string[] = [];
  const admission = new PodAdmission({
    client: { get: async (kind: { kind: string }) => (did.push(`get ${kind.kind}`), api) } as never,
    excludedNamespaces: [],
    isStarted: () => true,
    followedPod: () => pod,
    followedNamespace: () => (followed.length > 1 ? followed.shift() : followed[0]),
    enrol: (_pod, netns) => (
      did.push(`enrol ${netns}`),
      {
        plan: (ips: readonly string[]) => void did.push(`plan ${ips.join()}`),
        whenEnrolled: async () => enrolled,
        lastFailure: undefined,
      }
    ),
    forget: () => did.push('forget'),
    signal: stop.signal,
    pauseMs: 1,
  });
  return { did, admit: (gone = new AbortController().signal) => admission.admit(asked, gone) };
}

test('a pod of a namespace that is known to be in the mesh is enrolled', async (t) => {
  const { did, admit } = open(t, [labelled], labelled);
  deepEqual(await admit(), { enrolled: true });
  deepEqual(did, ['enrol /run/netns/u1', 'plan 10.0.0.1']);
});

test('a pod of a namespace that was labelled a moment ago is not let out before we have heard of it', async (t) => {
  const { did, admit } = open(t, [plain, plain, plain, labelled], labelled);
  deepEqual(await admit(), { enrolled: true });
  deepEqual(did, ['get Namespace', 'enrol /run/netns/u1', 'plan 10.0.0.1']);
  await rejects(open(t, [plain], labelled).admit(), { code: 'cni.starting', message: /label of its namespace/ });
});

test('a pod outside of the mesh goes on', async (t) => {
  const { did, admit } = open(t, [plain], plain);
  deepEqual(await admit(), { enrolled: false });
  deepEqual(did, ['get Namespace']);
});

test('a pod whose enrolment ended has to wait, unless it is to be outside by now', async (t) => {
  await rejects(open(t, [labelled], labelled, false).admit(), { code: 'cni.not-enrolled' });
  deepEqual(await open(t, [labelled, labelled, plain], plain, false).admit(), { enrolled: false });
});

test('a pod whose namespace nobody has heard of waits', (t) =>
  rejects(open(t, [undefined], plain).admit(), { code: 'cni.starting', message: /namespace is not known/ }));

test('a pod that nobody waits for any more is not taken on in the sandbox of then', async (t) => {
  const { did, admit } = open(t, [labelled], labelled);
  await rejects(admit(AbortSignal.abort()), { code: 'cni.not-enrolled', message: /nobody waits/ });
  deepEqual(did, []);
});

test('a pod of which the watch does not hear is let go of only when the API says that it is gone', async (t) => {
  const stop = new AbortController();
  t.after(() => stop.abort());
  const gone = new KubeError('not found', { code: 'kube.not-found', blame: 'downstream', status: 404 });
  // Of the pod that is to be admitted, and each time after.
  const answers = [() => pod, () => pod, () => raise(new Error('no API')), () => raise(gone)];
  const raise = (error: Error): never => {
    throw error;
  };
  const forgotten = Promise.withResolvers<number>();
  const admission = new PodAdmission({
    client: { get: async () => answers.shift()?.() } as never,
    excludedNamespaces: [],
    isStarted: () => true,
    followedPod: () => undefined,
    followedNamespace: () => labelled,
    enrol: () => ({ plan() {}, whenEnrolled: async () => true, lastFailure: undefined }),
    forget: () => forgotten.resolve(answers.length),
    signal: stop.signal,
    pauseMs: 1,
    strangerMs: 1,
  });
  deepEqual(await admission.admit(asked, new AbortController().signal), { enrolled: true });
  const hold = setInterval(() => {}, 1000);
  deepEqual(await forgotten.promise, 0);
  clearInterval(hold);
});
