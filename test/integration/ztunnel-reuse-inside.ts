/** Tunnels whose far end is gone without a word: noticed, never used for somebody else who got the address, and replaced. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { MeshWorkload } from '../../src/api/workload.ts';
import { meshWorkload } from '../../src/mesh/fixtures.ts';
import { applyNft, checkPrivileges } from '../../src/net/index.ts';
import { createTestAuthority, type TestAuthority } from '../support/certificates.ts';
import { TestPods, uidOf, type TestPod } from './pod-namespaces.ts';
import { startTestDataPart, type TestDataPart } from './ztunnel-fixture.ts';

const port = 9080;

function workloadOf(
  { name, namespace, serviceAccount, ip4, ip6 }: TestPod,
  more: Partial<MeshWorkload> = {},
): MeshWorkload {
  return meshWorkload({ name, namespace, serviceAccount, addresses: [ip4, ip6], ...more });
}

describe('peers that vanish', { timeout: 160_000 }, () => {
  let pods: TestPods;
  let authority: TestAuthority;
  let near: TestDataPart;
  let client: TestPod;
  const fars: TestDataPart[] = [];

  before(async () => {
    await checkPrivileges();
    authority = await createTestAuthority();
    pods = await TestPods.open();
    client = await pods.add('front/client', 2);
    near = startTestDataPart(authority);
    near.setAddresses(workloadOf(client));
    await pods.enrol(client, near);
  });

  after(async () => {
    await near?.drain(1);
    for (const far of fars) await far.drain(1);
    await pods?.close();
  });

  /** A pod at 10.244.0.n with a ztunnel of its own and an application that says the pod's name. */
  async function start(
    name: string,
    n: number,
    more: Partial<MeshWorkload> = {},
  ): Promise<{ pod: TestPod; far: TestDataPart }> {
    const pod = await pods.add(name, n);
    const far = startTestDataPart(authority);
    fars.push(far);
    far.setAddresses(workloadOf(client), workloadOf(pod, more));
    await pods.enrol(more.serviceAccount === undefined ? pod : { ...pod, serviceAccount: more.serviceAccount }, far);
    await pods.echo(pod, port);
    return { pod, far };
  }

  /** Its link is cut: whoever talks to it hears nothing any more. */
  const unplug = (pod: TestPod): Promise<string> => pod.space.exec('ip', 'link', 'del', 'eth0');

  async function talkTo(pod: TestPod, ip: 'ip4' | 'ip6'): Promise<Socket> {
    const socket = await pods.connect(client, pod[ip], port);
    socket.resume();
    const [hello] = (await once(socket, 'data')) as [Buffer];
    assert.equal(hello.toString(), `${pod.name}:`);
    return socket;
  }

  for (const [family, ip, base] of [
    ['v4', 'ip4', 10],
    ['v6', 'ip6', 20],
  ] as const) {
    const same = `same-${family}`;

    test(`an address that another identity got is never reached through the tunnel, or with the name, of the one before, over ${family}`, async () => {
      const first = await start(`shop/web-${family}`, base + 1);
      near.setAddresses(workloadOf(first.pod));
      await talkTo(first.pod, ip);
      await unplug(first.pod);
      const second = await start(`shop/intruder-${family}`, base + 1);
      let bytesSeen = 0;
      await pods.serve(second.pod, { port: port + 1 }, ({ socket }) => {
        socket.on('data', (chunk: Buffer) => (bytesSeen += chunk.length));
        socket.resume();
      });
      // The client's ztunnel has not heard yet.
      assert.equal(await pods.ask(client, first.pod[ip], port + 1, 'a secret'), undefined);
      assert.equal(bytesSeen, 0);
      const { uid } = workloadOf(first.pod);
      near.send({ kind: 'addresses', update: { updated: [], removed: [uid] } });
      near.setAddresses(workloadOf(second.pod));
      assert.equal(await pods.ask(client, second.pod[ip], port), `intruder-${family}:ping`);
    });

    test(`a new pod of the same identity at the same address is reached at once, over ${family}`, async () => {
      const first = await start(`shop/old-${family}`, base + 2, { serviceAccount: same });
      near.setAddresses(workloadOf(first.pod, { serviceAccount: same }));
      await talkTo(first.pod, ip);
      await unplug(first.pod);
      const second = await start(`shop/new-${family}`, base + 2, { serviceAccount: same });
      near.send({
        kind: 'addresses',
        update: { updated: [], removed: [workloadOf(first.pod).uid] },
      });
      near.setAddresses(workloadOf(second.pod, { serviceAccount: same }));
      assert.equal(await pods.ask(client, second.pod[ip], port), `new-${family}:ping`);
    });

    test(`a pod that leaves takes its connections with it, and its address is free, over ${family}`, async () => {
      const { pod, far } = await start(`shop/leaving-${family}`, base + 3);
      near.setAddresses(workloadOf(pod));
      const socket = await talkTo(pod, ip);
      const closed = new Promise((resolve) => socket.once('close', resolve));
      far.send({ kind: 'remove-pod', uid: uidOf(pod) });
      await closed;
      assert.equal(await pods.ask(client, pod[ip], port), undefined);
    });

    test(`a peer that drains sends clients away, and serves those who come, over ${family}`, async () => {
      const { pod, far } = await start(`shop/draining-${family}`, base + 4);
      near.setAddresses(workloadOf(pod));
      const socket = await talkTo(pod, ip);
      far.send({ kind: 'drain-pod', uid: uidOf(pod) });
      for (let i = 0; i < 20; i++) assert.equal(await pods.ask(client, pod[ip], port), `draining-${family}:ping`);
      socket.write('still');
      const [answer] = (await once(socket, 'data')) as [Buffer];
      assert.equal(answer.toString(), 'still');
    });
  }

  test('a peer that answers nothing any more is noticed, and the connections through it end', async () => {
    const closed: Promise<unknown>[] = [];
    // Both wait for as long, so they wait together.
    for (const [name, n, ip] of [
      ['shop/silent', 31, 'ip4'],
      ['shop/silent-v6', 32, 'ip6'],
    ] as const) {
      const { pod } = await start(name, n);
      near.setAddresses(workloadOf(pod));
      const socket = await talkTo(pod, ip);
      closed.push(new Promise((resolve) => socket.once('close', resolve)));
      await applyNft({
        netns: pod.netns,
        script: `table inet silence {
        chain in { type filter hook input priority -400; policy drop;
        }
        chain out { type filter hook output priority -400; policy drop;
        }
      }
`,
      });
    }
    await Promise.all(closed);
    await near.logLine(/silent.*PING/);
  });
});
