/** What the containers of a pod share, and what they do not: names, messages, memory, and processes where the pod asks for it. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { Container, Pod } from '../../src/api/index.ts';
import {
  eventually,
  insideTestTimeoutMs,
  isInside,
  isRoot,
  openTestCluster,
  runInside,
  type TestCluster,
} from './runtime-cluster.ts';

const sh = (name: string, script: string, more: Partial<Container> = {}): Container => ({
  name,
  image: 'none',
  command: ['sh', '-c', script],
  ...more,
});
const ended = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
/** Commands of this machine, as the runtime sees its processes. */
const commands = (): string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      } catch {
        return '';
      }
    });

if (!isInside) {
  describe('containers of a pod', { timeout: 2 * insideTestTimeoutMs }, () => {
    for (const asUser of isRoot ? [false, true] : [true]) {
      test(
        `share what they should ${asUser ? 'in a user namespace' : 'as root'}`,
        { timeout: insideTestTimeoutMs },
        async () => {
          const { code, output } = await runInside(import.meta.filename, { asUser });
          equal(code, 0, output);
        },
      );
    }
  });
} else {
  describe('containers of a pod, inside', { timeout: 570_000 }, () => {
    let cluster: TestCluster;
    before(async () => {
      cluster = await openTestCluster({ nodes: 1 });
    });
    after(async () => {
      await cluster?.[Symbol.asyncDispose]();
    });
    const logOf = (pod: string, container: string): Promise<string> => cluster.log(pod, `container=${container}`);

    test('they have one host name, one ipc namespace and one /dev/shm, and another pod has others', async () => {
      const look = 'echo "$(hostname) $(readlink /proc/self/ns/ipc) $(readlink /proc/self/ns/uts)"';
      const writer = `${look}; echo word >/dev/shm/word; stat -c %a /dev/shm; hostname stolen; hostname; sleep 1000`;
      const reader = `${look}; until [ -e /dev/shm/word ]; do sleep 0.1; done; cat /dev/shm/word; ls /proc/self/fd | grep '^[4-9]$' | wc -l`;
      const spec = { restartPolicy: 'Never' as const, terminationGracePeriodSeconds: 0 };
      await cluster.startPod('couple', { ...spec, containers: [sh('writer', writer), sh('reader', reader)] });
      await cluster.startPod('single', { ...spec, containers: [sh('main', `${look}; ls -A /dev/shm | wc -l`)] });
      await cluster.podIs('single', 'an end', ended);
      await cluster.podIs(
        'couple',
        'a reader at its end',
        (pod) => pod.status?.containerStatuses?.find(({ name }) => name === 'reader')?.state?.terminated !== undefined,
      );
      const written = await eventually('what the writer says', async () => {
        const lines = (await logOf('couple', 'writer')).split('\n');
        return lines.includes('couple') ? lines : undefined;
      });
      const read = (await logOf('couple', 'reader')).split('\n');
      const single = (await cluster.log('single')).split('\n');
      equal(written[0], read[0]);
      match(written[0] ?? '', /^couple ipc:/);
      deepEqual(written.slice(1, 2), ['1777']);
      ok(!written.includes('stolen'), 'a container cannot change the name');
      // Nothing of the set-up's is open in a container; 3 is what ls has open itself.
      deepEqual(read.slice(1, 3), ['word', '0']);
      equal(single[1], '0');
      const [, ipc, uts] = (written[0] ?? '').split(' ');
      ok(!single[0]?.includes(ipc ?? '') && !single[0]?.includes(uts ?? ''));
      await cluster.removePod('couple');
      await cluster.removePod('single');
    });

    test('a pod that shares its processes has one process 1, which reaps, and a container ends alone', async () => {
      // `sleep` is left behind by the shell that started it, once with a user namespace of its own.
      const left = '(sleep 4242 &); (unshare --user --mount sleep 4243 &)';
      // Patterns that do not find themselves.
      const everybody =
        'grep -q "sleep 424[3]$" /tmp/ps && grep -q "echo got i[t]" /tmp/ps && ! grep -q " [Z]" /tmp/ps';
      const look = `until ps -eo pid,stat,args >/tmp/ps; ${everybody}; do sleep 0.1; done; cat /tmp/ps`;
      const short = `(true &); ${left}; ${look}; exit 3`;
      // "$$" is how Kubernetes writes a dollar.
      const main = 'trap "echo got it" HUP; echo $$$$ >/dev/shm/pid; while :; do sleep 0.1; done';
      const signaller =
        'until [ -s /dev/shm/pid ]; do sleep 0.1; done; read -r p </dev/shm/pid; kill -HUP $p; kill -TERM 1; kill -KILL 1; cat /proc/1/environ; ls /proc/1/root/ /proc/$p/root/; exit 0';
      await cluster.startPod('open', {
        shareProcessNamespace: true,
        restartPolicy: 'Never',
        terminationGracePeriodSeconds: 0,
        containers: [sh('main', main), sh('short', short), sh('signaller', signaller)],
      });
      const end = (name: string) => (pod: Pod) =>
        pod.status?.containerStatuses?.find((each) => each.name === name)?.state?.terminated !== undefined;
      await cluster.podIs('open', 'two ended containers', (pod) => end('short')(pod) && end('signaller')(pod));
      const seen = await logOf('open', 'short');
      match(seen, /^ +1 \S+ +sh -c while/m);
      match(seen, /sleep 4242\n.*sleep 4243$/ms);
      match(seen, /sh -c trap "echo got it"/);
      ok(!/ Z/.test(seen), seen);
      await eventually('the signal', async () => (await logOf('open', 'main')).includes('got it') || undefined);
      const refused = await logOf('open', 'signaller');
      equal(refused.match(/Permission denied/g)?.length, 3, refused);
      const [main0] = (await cluster.podIs('open', 'main alone', () => true)).status?.containerStatuses ?? [];
      ok(main0?.state?.running, 'nobody ends process 1');
      await eventually(
        'what the ended container left to be gone',
        () => commands().every((each) => !each.startsWith('sleep 424')) || undefined,
      );
      await cluster.removePod('open');
      const processOne = 'sh -c while :; do sleep infinity';
      await eventually(
        'the end of process 1',
        async () => commands().every((each) => !each.startsWith(processOne)) || undefined,
      );
    });
  });
}
