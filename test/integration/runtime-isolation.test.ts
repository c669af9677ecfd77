/** Pods are kept apart: what a program in a pod tries against the mesh and its neighbours fails, and from outside it does not. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { kinds, type Container, type PodSpec } from '../../src/api/index.ts';
import { documents, openTestMesh, programPod, programs, serviceAccount, type TestMesh } from '../support/mesh.ts';
import type { IntruderFacts } from '../support/programs/intruder.ts';
import { eventually, run } from '../support/run.ts';

const isRoot = process.getuid?.() === 0;

describe(`isolation${isRoot ? '' : ', in a user namespace'}`, () => {
  let mesh: TestMesh;
  let facts: IntruderFacts;
  const intruder = [process.execPath, join(programs, 'intruder.ts')];

  before(async () => {
    mesh = await openTestMesh({
      nodes: 1,
      manifests: documents(
        serviceAccount('neighbour'),
        programPod({ name: 'neighbour', program: 'echo-server.ts', args: ['7000'], port: 7000 }),
      ),
    });
    await mesh.enrol('default');
    const neighbour = await mesh.pod('default', 'neighbour');
    facts = { stateDir: mesh.state, neighbour: neighbour.metadata.uid ?? '', node: 'node-1' };
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  /** A pod that tries everything when it starts, and then waits. */
  async function startIntruder(
    name: string,
    spec: Partial<PodSpec> = {},
    more: Partial<Container> = {},
  ): Promise<void> {
    const main: Container = {
      name: 'main',
      image: 'none',
      command: ['sh', '-c', `${intruder.join(' ')}; exec sleep 1000`],
      env: [{ name: 'INTRUDER_FACTS', value: JSON.stringify(facts) }],
      ...more,
    };
    await mesh.client.create(kinds.Pod, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default', labels: { app: name } },
      spec: { terminationGracePeriodSeconds: 0, ...spec, containers: [main] },
    });
  }

  async function report(name: string): Promise<Record<string, string>> {
    return eventually(async () => {
      const path = `/api/v1/namespaces/default/pods/${name}/log`;
      const text = await (await mesh.client.raw({ method: 'GET', path })).body.text();
      const line = text.split('\n').find((each) => each.startsWith('{'));
      return line === undefined ? undefined : (JSON.parse(line) as Record<string, string>);
    }, `the report of ${name}`);
  }

  function assertNothingDone(outcome: Record<string, string>, except: readonly string[] = []): void {
    const done = Object.keys(outcome).filter((name) => outcome[name] === 'done' && !except.includes(name));
    assert.deepEqual(done, [], JSON.stringify(outcome, null, 1));
    assert.ok(Object.keys(outcome).length >= 20);
  }

  async function rules(pod: string): Promise<string> {
    const { uid } = (await mesh.pod('default', pod)).metadata;
    return (
      await mesh.ambit([
        'exec',
        '--node',
        'node-1',
        '--',
        'nsenter',
        `--net=/run/netns/${uid}`,
        'nft',
        'list',
        'ruleset',
      ])
    ).stdout;
  }

  it('a pod of the mesh gets nowhere, however it is asked to start', async () => {
    await startIntruder('plain');
    assertNothingDone(await report('plain'));
    await startIntruder(
      'greedy',
      { hostPID: true, hostIPC: true },
      { securityContext: { privileged: true, capabilities: { add: ['ALL', 'NET_ADMIN', 'SYS_PTRACE'] } } },
    );
    assertNothingDone(await report('greedy'));
    await startIntruder('other', {}, { securityContext: { runAsUser: 1337, runAsGroup: 1337 } });
    assertNothingDone(await report('other'));
    await startIntruder('on-node', { hostNetwork: true });
    assertNothingDone(await report('on-node'));
  });

  it('a user namespace of its own gives it nothing but an empty mount namespace', async () => {
    const script = `exec unshare --user --keep-caps --mount ${intruder.join(' ')}`;
    const outcome = JSON.parse(await mesh.exec('plain', ['sh', '-c', script])) as Record<string, string>;
    assertNothingDone(outcome, ['mount']);
  });

  it('programs that it puts in the place of tools do not run with more rights either', async () => {
    const swap = (tool: string): string =>
      `rm -f /usr/bin/${tool}; printf '#!/bin/sh\\nexec ${intruder.join(' ')}\\n' >/usr/bin/${tool}; chmod 755 /usr/bin/${tool}`;
    const swapAll = mesh.exec('plain', ['sh', '-c', `${swap('env')}; ${swap('setpriv')}`]);
    if (isRoot) {
      await swapAll;
      // Whatever is run now runs the first of them.
      const outcome = JSON.parse(await mesh.exec('plain', ['true'])) as Record<string, string>;
      assertNothingDone(outcome, ['mount']);
    } else {
      // The machine's tools are another user's here.
      await assert.rejects(swapAll, /Permission denied/);
    }

    // What a volume puts there is found by the container's own command, when the set-up is done with its tools.
    const tool = `#!${process.execPath}\nimport(${JSON.stringify(intruder[1])});\n`;
    const tools = ['setpriv', 'unshare', 'umount', 'mount', 'pivot_root', 'env', 'mkdir', 'hostname', 'nsenter'];
    await mesh.client.create(kinds.ConfigMap, {
      metadata: { name: 'tools', namespace: 'default' },
      data: Object.fromEntries(tools.map((name) => [name, tool])),
    });
    await startIntruder(
      'covering',
      { volumes: [{ name: 'tools', configMap: { name: 'tools', defaultMode: 0o755 } }] },
      { command: ['unused'], volumeMounts: [{ name: 'tools', mountPath: '/usr/bin' }], workingDir: '/tmp/new' },
    );
    assertNothingDone(await report('covering'));
  });

  it('pods cannot mount what belongs to the mesh', async () => {
    for (const [name, path] of [
      ['state', mesh.state],
      ['above', '/'],
      ['netns', '/run/netns'],
      ['cgroup', '/sys/fs/cgroup'],
      ['procs', '/proc'],
    ] as const) {
      const volumes = [{ name: 'host', hostPath: { path } }];
      await startIntruder(`mounts-${name}`, { volumes }, { volumeMounts: [{ name: 'host', mountPath: '/host' }] });
    }
    await eventually(async () => {
      const path = '/api/v1/namespaces/default/events?fieldSelector=reason%3DFailedMount';
      const text = await (await mesh.client.raw({ method: 'GET', path })).body.text();
      const seen = new Set([...text.matchAll(/mounts-\w+/g)].map(String));
      return seen.size === 5 && text.includes('is kept from pods') ? true : undefined;
    }, 'five refusals');
  });

  it('the rules and the mesh are as they were, and the same program does it all from outside', async () => {
    assert.match(await rules('neighbour'), /redirect to :15006/);
    const { uid } = (await mesh.pod('default', 'neighbour')).metadata;
    const command = [
      'nsenter',
      `--net=/run/netns/${uid}`,
      'env',
      `INTRUDER_FACTS=${JSON.stringify({ ...facts, neighbour: 'node-1' })}`,
    ];
    const { stdout, stderr } = await mesh.ambit(['exec', '--node', 'node-1', '--', ...command, ...intruder]);
    const outcome = JSON.parse(stdout || `{"failed": ${JSON.stringify(stderr)}}`) as Record<string, string>;
    const failed = Object.keys(outcome).filter((name) => outcome[name] !== 'done');
    // Only root has devices and control groups; nothing is hidden out there.
    const mayFail = ['uncover what is hidden', 'write to /sys', ...(isRoot ? [] : ['make a device'])];
    assert.deepEqual(
      failed.filter((name) => !mayFail.includes(name)),
      [],
      JSON.stringify(outcome, null, 1),
    );
    // The last of them was to flush the rules, which the node agent does not leave at that.
    await eventually(async () => {
      const path = '/api/v1/namespaces/default/events?fieldSelector=reason%3DRulesRepaired';
      const text = await (await mesh.client.raw({ method: 'GET', path })).body.text();
      return text.includes('neighbour') && /redirect to :15006/.test(await rules('neighbour')) ? true : undefined;
    }, 'the rules of the neighbour are put back');
  });
});

if (isRoot) {
  it('the same holds in a mesh of an ordinary user', { timeout: 600_000 }, async () => {
    const drop = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    const node = [process.execPath, '--test', '--test-isolation=none', '--test-reporter=spec', import.meta.filename];
    // A reporter of the parent's would make the child speak its protocol instead of text.
    const command = ['env', '-u', 'NODE_TEST_CONTEXT', 'HOME=/tmp', ...drop, ...node];
    const { code, stdout, stderr } = await run(command, { timeoutMs: 590_000 });
    assert.equal(code, 0, stdout + stderr);
  });
}
