/**
 * A Service and a pod come to a waypoint, go to another and leave it, under load, while one side hears of it a moment later than the
 * other: what discovery sends it is lost on the way for a while.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { kinds } from '../../src/api/index.ts';
import { sleep } from '../../src/lib/clock.ts';
import { openL7Mesh, type HttpAnswer, type L7Mesh } from '../support/l7-mesh.ts';
import { eventually } from '../support/run.ts';

/** Hooks of a node through which discovery comes: to proxies in pods, or to the node's own ztunnel. */
type Late = 'forward' | 'input';

const steps: readonly (readonly [late: Late, waypoint: string])[] = [
  ['input', 'none'],
  ['forward', 'waypoint'],
  ['forward', 'second'],
  ['input', 'waypoint'],
];

describe('a Service and a pod under load', () => {
  let l7: L7Mesh;
  before(async () => {
    l7 = await openL7Mesh();
    for (const name of ['waypoint', 'second']) {
      const args = ['waypoint', 'apply', '-n', 'shop', '--name', name, '--for', 'all', '--wait'];
      const { code, stderr } = await l7.mesh.ambit(args);
      assert.equal(code, 0, stderr);
    }
  });
  after(() => l7?.[Symbol.asyncDispose]());

  /** The end comes without the start of a program: what the kernel sends again it sends ever later, and nobody waits for ever. */
  const whileLate = async (late: Late, change: () => Promise<void>): Promise<void> => {
    const chain = `chain late { type filter hook ${late} priority 0; tcp sport 15012 drop; };`;
    const script = `nft 'table inet discovery { ${chain} }' && echo late && read -r _; nft delete table inet discovery`;
    const nodes = ['node-1', 'node-2'].map((node) => l7.mesh.startOnNode(node, ['sh', '-c', script]));
    const ended = Promise.all(nodes.map((node) => once(node, 'exit')));
    try {
      await Promise.race([Promise.all(nodes.flatMap(({ stdout }) => (stdout ? once(stdout, 'data') : []))), ended]);
      await change();
      await sleep(1500);
    } finally {
      for (const { stdin } of nodes) stdin?.end('\n');
      const codes = (await ended).map(([code]) => code as number | null);
      assert.deepEqual(codes, [0, 0]);
    }
  };
  const use = async (waypoint: string): Promise<void> => {
    const patch = { metadata: { labels: { 'istio.io/use-waypoint': waypoint } } };
    await l7.mesh.client.patch(kinds.Service, 'app-v1', 'shop', patch, { type: 'merge' });
    await l7.mesh.client.patch(kinds.Pod, 'app-v1', 'shop', patch, { type: 'merge' });
  };
  /** Names of waypoints by the addresses of their pods. */
  const waypoints = async (): Promise<ReadonlyMap<string, string>> => {
    const label = 'gateway.networking.k8s.io/gateway-name';
    const { items } = await l7.mesh.client.list(kinds.Pod, { namespace: 'shop', labelSelector: label });
    return new Map(items.map(({ metadata, status }) => [status?.podIP ?? '', metadata.labels?.[label] ?? '']));
  };

  it('come to waypoints, change and leave them without losing a request', async () => {
    const service = 'http://app-v1.shop/';
    const pod = `http://${(await l7.mesh.pod('shop', 'app-v1')).status?.podIP}:8080/`;
    const names = await waypoints();
    let isOver = false;
    const answers: HttpAnswer[] = [];
    /** By which waypoint the last connection came to each, as the application saw it. */
    const last = new Map<string, string>();
    const load = async (url: string): Promise<void> => {
      while (!isOver) {
        const some = await l7.send('front/client', { url, times: 50 });
        answers.push(...some);
        const { client } = JSON.parse(some.at(-1)?.body || '{}') as { client?: string };
        last.set(url, names.get(client?.replace('::ffff:', '') ?? '') ?? 'none');
      }
    };
    const running = Promise.all([load(service), load(pod)]);
    try {
      for (const [late, waypoint] of steps) {
        await whileLate(late, () => use(waypoint));
        for (const url of [service, pod]) {
          const what = `${url} is reached by ${waypoint}`;
          await eventually(() => Promise.resolve(last.get(url) === waypoint || undefined), what);
        }
      }
    } finally {
      isOver = true;
      await running;
    }
    const lost = answers.filter(({ status }) => status !== 200);
    assert.deepEqual(
      lost.map(({ status, error, headers }) => `${status} ${error ?? headers['x-ambit-reason']}`),
      [],
    );
    assert.ok(answers.length >= steps.length * 100, `${answers.length} answers`);
  });
});
