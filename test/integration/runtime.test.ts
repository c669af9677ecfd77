import { equal, match, ok } from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { kinds } from '../../src/api/index.ts';
import { eventually, isInside, isReady, openTestCluster, runInside, type TestCluster } from './runtime-cluster.ts';

const sh = (script: string): string[] => ['sh', '-c', script];

if (!isInside) {
  describe('the pod runtime', { timeout: 240_000 }, () => {
    for (const asUser of [false, true]) {
      test(`works ${asUser ? 'in a user namespace' : 'as root'}, and leaves the host as it was`, async () => {
        const folders = ['/etc', '/var', '/opt', '/srv', '/usr', '/root', '/'];
        const look = (): string =>
          JSON.stringify(folders.map((folder) => [statSync(folder).mtimeMs, readdirSync(folder)]));
        const hosts = readFileSync('/etc/hosts', 'utf8');
        const host = look();
        const { code, output } = await runInside(import.meta.filename, { asUser });
        equal(code, 0, output);
        equal(look(), host);
        equal(readFileSync('/etc/hosts', 'utf8'), hosts);
      });
    }
  });
} else {
  describe('the pod runtime, inside', { timeout: 110_000 }, () => {
    let cluster: TestCluster;
    before(async () => {
      cluster = await openTestCluster({ nodes: 2 });
    });
    after(async () => {
      await cluster?.[Symbol.asyncDispose]();
    });

    test('a pod runs, has an address, becomes Ready, and goes without a trace', async () => {
      const started = Date.now();
      await cluster.startPod('plain', {
        containers: [
          { name: 'main', image: 'any', command: sh('echo hello; hostname; ip -4 -o addr show eth0; exec sleep 100') },
        ],
      });
      const pod = await cluster.podIs('plain', 'Ready', isReady);
      ok(Date.now() - started < 3000, `took ${Date.now() - started} ms`);
      equal(pod.status?.phase, 'Running');
      equal(pod.status?.podIP, '10.244.1.2');
      equal(pod.status?.hostIP, '172.30.1.1');
      ok(existsSync(`/run/netns/${pod.metadata.uid}`));
      const log = await eventually('the log', async () => {
        const text = await cluster.log('plain');
        return text.includes('10.244.1.2/32') ? text : undefined;
      });
      match(log, /^hello\nplain\n/);
      await cluster.client.delete(kinds.Pod, 'plain', 'default');
      await eventually('the pod to be gone', async () => {
        const { items } = await cluster.client.list(kinds.Pod, { namespace: 'default' });
        return items.some((each) => each.metadata.name === 'plain') ? undefined : true;
      });
      ok(!existsSync(`/run/netns/${pod.metadata.uid}`));
    });
  });
}
