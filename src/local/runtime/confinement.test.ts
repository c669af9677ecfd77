import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import type { Container, Pod } from '../../api/index.ts';
import {
  confinementOf,
  enterContainer,
  isSystemPod,
  refusedPrivileges,
  userFault,
  type ContainerTarget,
} from './confinement.ts';

const container: Container = {
  name: 'main',
  securityContext: { privileged: true, capabilities: { add: ['NET_RAW'] } },
};
const pod = (securityContext: Pod['spec']['securityContext'] = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p' },
  spec: { containers: [container], securityContext },
});
const target = (more: Partial<ContainerTarget> = {}): ContainerTarget => ({
  pid: 7,
  confinement: { kind: 'confined', user: 0, group: 0 },
  hostPid: false,
  environment: {},
  workingDirectory: '/srv',
  ...more,
});

test('only a system pod gets what it asks for', () => {
  deepEqual(confinementOf(pod(), container, true), { kind: 'system', limit: [] });
  deepEqual(confinementOf(pod(), container, false), { kind: 'confined', user: 0, group: 0 });
  equal(refusedPrivileges(container), 'privileged, NET_RAW');
  equal(refusedPrivileges({ name: 'main' }), '');
});

test('a container sees itself as the user it asks for, its own word before that of its pod', () => {
  const user = (own: Container['securityContext'], shared: Pod['spec']['securityContext']): unknown[] => {
    const found = confinementOf(pod(shared), { name: 'main', ...(own ? { securityContext: own } : {}) }, false);
    return found.kind === 'confined' ? [found.user, found.group] : [];
  };
  deepEqual(user(undefined, { runAsUser: 5 }), [5, 0]);
  deepEqual(user({ runAsUser: 6, runAsGroup: 8 }, { runAsUser: 5 }), [6, 8]);
  deepEqual(user({ runAsNonRoot: true }, {}), [65_532, 65_532]);
});

test('root where it must not be root does not run', () => {
  const asRoot: Container = { name: 'main', securityContext: { runAsUser: 0 } };
  ok(userFault(pod({ runAsNonRoot: true }), asRoot));
  equal(userFault(pod(), asRoot), undefined);
  equal(userFault(pod({ runAsNonRoot: true }), { name: 'main' }), undefined);
});

test('what enters a container joins its user namespace before it runs a program of its root', () => {
  const { command } = enterContainer(target(), ['id']);
  const words = command.join(' ');
  ok(words.startsWith('nsenter -t 7 --mount --net --uts --ipc --pid --user --preserve-credentials --wdns=/srv -- '));
  ok(words.includes(' -- setpriv --bounding-set=-all --inh-caps=-all --no-new-privs -- '), words);
  ok(words.endsWith(' id'));
});

test('variables that tools would read reach the command alone', () => {
  const environment = {
    LD_PRELOAD: '/evil.so',
    PATH: '/evil',
    LIBMOUNT_FSTAB: '/evil',
    GCONV_PATH: '/evil',
    LC_ALL: 'tr_TR',
    SECRET: 'word',
    'a.b': 'dotted',
  };
  const { command, env } = enterContainer(target({ environment }), ['id']);
  equal(env['SECRET'], 'word');
  ok(!command.join(' ').includes('word'));
  ok(!Object.values(env).includes('/evil') && !('LD_PRELOAD' in env) && env['LC_ALL'] === 'C');
  const after = command.slice(command.lastIndexOf('env'));
  for (const name of ['LD_PRELOAD=/evil.so', 'PATH=/evil', 'LC_ALL=tr_TR', 'a.b=dotted'])
    ok(after.includes(name), name);
});

test("the tools' own locale does not reach a command that has none", () => {
  ok(enterContainer(target(), ['id']).command.join(' ').endsWith('env -u LC_ALL id'));
});

test("what a DaemonSet of a system namespace made is one of the mesh's own, and nothing else is", () => {
  const owned = (namespace: string, kind: string, controller = true): Pod => ({
    ...pod(),
    metadata: { namespace, ownerReferences: [{ apiVersion: 'apps/v1', kind, name: 'owner', uid: 'u', controller }] },
  });
  ok(isSystemPod(owned('istio-system', 'DaemonSet'), ['istio-system']));
  ok(!isSystemPod(owned('istio-system', 'DaemonSet'), []));
  ok(!isSystemPod(owned('default', 'DaemonSet'), ['istio-system']));
  ok(!isSystemPod(owned('istio-system', 'ReplicaSet'), ['istio-system']));
  ok(!isSystemPod(owned('istio-system', 'DaemonSet', false), ['istio-system']));
  ok(!isSystemPod({ ...pod(), metadata: { namespace: 'istio-system' } }, ['istio-system']));
});
