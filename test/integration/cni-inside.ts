/** Scenarios of the node agent: pods come into the mesh and leave it. Run by cni.test.ts. */
import { after, before, beforeEach, describe, test } from 'node:test';
import { deepEqual, equal, ok, rejects } from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { kinds } from '../../src/api/index.ts';
import { dial } from '../../src/net/index.ts';
import { ambient, annotation, CniNode, EchoClient, eventually, timings } from './cni-node.ts';

describe('node agent', { timeout: 160_000 }, () => {
  let node: CniNode;

  before(async () => {
    node = await CniNode.open();
  });
  beforeEach(() => {
    node.callers.length = 0;
  });
  after(() => node?.close());

  /** Addresses of pods that the node's probes reach past the mesh. */
  const probed = (): readonly string[] =>
    [
      ...execFileSync('nft', ['list', 'table', 'inet', 'ambit-host'], { encoding: 'utf8' }).matchAll(
        /elements = \{([^}]*)\}/g,
      ),
    ].flatMap(([, elements = '']) => elements.split(',').map((element) => element.trim()));

  test('a labelled pod is announced, redirected and annotated, in this order, and un-enrolled when the label goes', async () => {
    const pod = await node.createPod('alpha', { labels: ambient });
    const other = await node.createPod('beta');
    await eventually('alpha is enrolled', async () => (await node.redirectionOf(pod)) === 'enabled');
    ok(node.ztunnel.served.has(pod.uid));
    ok(node.captures(pod));
    equal(await node.redirectionOf(other), undefined);

    const before = node.ztunnel.relayed;
    for (const ip of [pod.ip, pod.ip6]) {
      const caller = await EchoClient.open(other.netns, ip, 8080);
      await caller.check();
      caller.close();
    }
    equal(node.ztunnel.relayed, before + 2);
    deepEqual(node.callers, [other.ip, other.ip6]);

    await node.label(pod, null);
    await eventually(
      'alpha left',
      () => !node.ztunnel.served.has(pod.uid) && !node.rulesOf(pod).includes('istio-ambient'),
    );
    await eventually('its annotation is gone', async () => (await node.redirectionOf(pod)) === undefined);
    for (const family of ['-4', '-6'])
      await eventually('so is the return path', () => !node.inside(pod, 'ip', family, 'rule').includes('0x111'));
    for (const ip of [pod.ip, pod.ip6]) {
      const direct = await EchoClient.open(other.netns, ip, 8080);
      await direct.check();
      direct.close();
    }
    equal(node.ztunnel.relayed, before + 2);
  });

  test('connections older than enrolment and than un-enrolment lose no byte, in and out', async () => {
    const [server, peer] = [await node.createPod('steady'), await node.createPod('peer')];
    const inAndOut = async (): Promise<EchoClient[]> => [
      await EchoClient.open(peer.netns, server.ip, 8080),
      await EchoClient.open(peer.netns, server.ip6, 8080),
      await EchoClient.open(server.netns, peer.ip, 8080),
      await EchoClient.open(server.netns, peer.ip6, 8080),
    ];
    const old = await inAndOut();
    for (const connection of old) await connection.check();
    await node.label(server, 'ambient');
    let during = 0;
    await eventually('steady is enrolled', async () => {
      for (const connection of old) await connection.check(5000);
      during++;
      return (await node.redirectionOf(server)) === 'enabled';
    });
    ok(during > 0);
    const before = node.ztunnel.relayed;
    const relayed = await inAndOut();
    equal(node.ztunnel.relayed, before + 4);
    for (const connection of [...old, ...relayed]) await connection.check();
    const earlier = async (): Promise<string | undefined> =>
      (await node.client.get(kinds.Pod, 'steady', 'demo')).status?.conditions?.find(
        ({ type }) => type === 'ambit.io/ConnectionsBeforeMesh',
      )?.message;
    await eventually('the pod says what is older', async () => (await earlier())?.startsWith('4 connections') === true);

    await node.label(server, 'none');
    await eventually('redirection ended', () => !node.captures(server));
    for (let i = 0; i < 20; i++) for (const connection of [...old, ...relayed]) await connection.check(5000);
    // Relayed connections hold the drain open.
    ok(node.ztunnel.served.has(server.uid));
    for (const connection of relayed) connection.close();
    await eventually(
      'steady left',
      () => !node.ztunnel.served.has(server.uid) && !node.rulesOf(server).includes('istio-ambient'),
    );
    for (const connection of old) {
      await connection.check();
      connection.close();
    }
    await eventually('and nothing once it left', async () => (await earlier()) === undefined);
  });

  test('connections older than enrolment end when somebody asks for it, and no others', async () => {
    const [server, peer] = [await node.createPod('elder'), await node.createPod('visitor')];
    const [old, old6] = [
      await EchoClient.open(peer.netns, server.ip, 8080),
      await EchoClient.open(peer.netns, server.ip6, 8080),
    ];
    for (const connection of [old, old6]) await connection.check();
    await node.label(server, 'ambient');
    await eventually('elder is enrolled', async () => (await node.redirectionOf(server)) === 'enabled');
    const relayed = await EchoClient.open(peer.netns, server.ip, 8080);
    await relayed.check();
    const annotations = { 'ambit.io/close-earlier-connections': 'true' };
    await node.client.patch(kinds.Pod, 'elder', 'demo', { metadata: { annotations } }, { type: 'merge' });
    for (const connection of [old, old6])
      await rejects(async () => {
        for (;;) await connection.check(10);
      });
    await relayed.check();
    relayed.close();
  });

  test('a connection that does not end after un-enrolment is served until the deadline alone', async () => {
    await node.stopAgent();
    await node.startAgent({ timings: { ...timings, drainDeadlineMs: 5000 } });
    await node.reconnectZtunnel();
    const [server, peer] = [await node.createPod('stubborn', { labels: ambient }), await node.createPod('talker')];
    await eventually('stubborn is enrolled', async () => (await node.redirectionOf(server)) === 'enabled');
    const relayed = [
      await EchoClient.open(peer.netns, server.ip, 8080),
      await EchoClient.open(peer.netns, server.ip6, 8080),
    ];
    for (const connection of relayed) await connection.check();
    await node.label(server, 'none');
    await eventually('redirection ended', () => !node.captures(server));
    // The one that is left holds the drain open, whichever family it is of.
    relayed[0]?.close();
    await relayed[1]?.check();
    ok(node.ztunnel.served.has(server.uid));
    await eventually('ztunnel is told at the deadline', () => !node.ztunnel.served.has(server.uid));
    relayed[1]?.close();
    await node.stopAgent();
    await node.startAgent();
    await node.reconnectZtunnel();
  });

  test('connections between addresses of its own do not hold a pod in the mesh', async () => {
    const pod = await node.createPod('versatile', { labels: ambient });
    await node.enrolled(pod);
    for (const address of ['192.0.2.7/32', '2001:db8::7/128'])
      await pod.namespace.exec(
        'ip',
        'addr',
        'add',
        address,
        'dev',
        'eth0',
        ...(address.includes(':') ? ['nodad'] : []),
      );
    const own: EchoClient[] = [];
    for (const address of ['192.0.2.7', '2001:db8::7']) own.push(await EchoClient.open(pod.netns, address, 8080));
    for (const connection of own) await connection.check();
    await node.label(pod, null);
    await eventually('it left long before the deadline', () => !node.ztunnel.served.has(pod.uid));
    for (const connection of own) {
      await connection.check();
      connection.close();
    }
  });

  test("a namespace label enrols all its pods, and the pod's own label wins", async () => {
    const [plain, out] = [
      await node.createPod('plain'),
      await node.createPod('out', { labels: { 'istio.io/dataplane-mode': 'none' } }),
    ];
    await node.client.patch(
      kinds.Namespace,
      'demo',
      undefined,
      { metadata: { labels: { 'istio.io/dataplane-mode': 'ambient' } } },
      { type: 'merge' },
    );
    await eventually('plain is enrolled', async () => (await node.redirectionOf(plain)) === 'enabled');
    equal(await node.redirectionOf(out), undefined);
    await node.client.patch(
      kinds.Namespace,
      'demo',
      undefined,
      { metadata: { labels: { 'istio.io/dataplane-mode': null } } },
      { type: 'merge' },
    );
    await eventually(
      'plain left',
      () => !node.ztunnel.served.has(plain.uid) && !node.rulesOf(plain).includes('istio-ambient'),
    );
  });

  test('what connects from the node itself reaches the application under the probe address', async () => {
    const pod = await node.createPod('probed', { labels: ambient });
    await eventually('probed is enrolled', async () => (await node.redirectionOf(pod)) === 'enabled');
    const before = node.ztunnel.relayed;
    for (const host of [pod.ip, pod.ip6]) {
      const probe = new EchoClient(await dial({ host, port: 8080, timeoutMs: 2000 }));
      await probe.check();
      probe.close();
    }
    deepEqual(node.callers, ['169.254.7.127', 'fd16:9254:7127:1337:ffff:ffff:ffff:ffff']);
    equal(node.ztunnel.relayed, before);
  });

  test('without ztunnel enrolled pods fail closed, new ones wait unharmed, and all work again once it is back', async () => {
    const [pod, caller] = [await node.createPod('closed', { labels: ambient }), await node.createPod('caller')];
    await eventually('closed is enrolled', async () => (await node.redirectionOf(pod)) === 'enabled');
    node.ztunnel.die();
    for (const ip of [pod.ip, pod.ip6])
      await eventually('new connections are refused', () =>
        EchoClient.open(caller.netns, ip, 8080).then(
          (connection) => (connection.close(), false),
          () => true,
        ),
      );
    ok(node.captures(pod));
    await node.label(caller, 'ambient');
    await eventually('caller is pending', async () => (await node.redirectionOf(caller)) === 'pending');
    equal(node.captures(caller), false);
    equal(await node.redirectionOf(pod), 'enabled');

    await node.connectZtunnel();
    await eventually('caller is enrolled', async () => (await node.redirectionOf(caller)) === 'enabled');
    for (const ip of [pod.ip, pod.ip6]) {
      const connection = await EchoClient.open(caller.netns, ip, 8080);
      await connection.check();
      connection.close();
    }
    ok(node.ztunnel.served.has(pod.uid));
  });

  test('a pod that ztunnel refuses blocks no other', async () => {
    const bad = await node.createPod('bad');
    node.ztunnel.refused.add(bad.uid);
    await node.label(bad, 'ambient');
    const good = await node.createPod('good', { labels: ambient });
    await eventually('good is enrolled', async () => (await node.redirectionOf(good)) === 'enabled');
    await eventually('bad is pending', async () => (await node.redirectionOf(bad)) === 'pending');
    equal(node.captures(bad), false);
    node.ztunnel.refused.clear();
    await eventually('bad is enrolled', async () => (await node.redirectionOf(bad)) === 'enabled');
  });

  test('an agent that restarts repairs rules, finishes what it left, and interrupts nobody', async () => {
    const [kept, broken, caller] = [
      await node.createPod('kept', { labels: ambient }),
      await node.createPod('broken', { labels: ambient }),
      await node.createPod('quiet-caller'),
    ];
    const leftover = await node.createPod('leftover', { labels: ambient });
    for (const pod of [kept, broken, leftover])
      await eventually(`${pod.name} is enrolled`, async () => (await node.redirectionOf(pod)) === 'enabled');
    const open = [
      await EchoClient.open(caller.netns, kept.ip, 8080),
      await EchoClient.open(caller.netns, kept.ip6, 8080),
    ];
    const check = async (): Promise<void> => {
      for (const connection of open) await connection.check();
    };
    await check();

    await node.stopAgent();
    await broken.namespace.exec('nft', 'flush', 'ruleset');
    await node.client.patch(
      kinds.Pod,
      leftover.name,
      'demo',
      { metadata: { labels: null, annotations: { [annotation]: null } } },
      { type: 'merge' },
    );
    await check();
    const before = node.ztunnel.served.get(kept.uid);
    await node.startAgent();
    await eventually('broken is repaired', () => node.captures(broken));
    await check();
    // The relay keeps its pods while the agent is away; the snapshot names them again.
    await node.reconnectZtunnel();
    ok(node.ztunnel.requests.includes(`add ${kept.uid}`));
    equal(node.ztunnel.served.get(kept.uid), before);
    await check();
    for (const connection of open) connection.close();
    await eventually('leftover is clean', () => !node.rulesOf(leftover).includes('istio-ambient'));
  });

  test('a pod that is about to end is served on by an agent that starts meanwhile', async () => {
    const [pod, caller] = [await node.createPod('ending', { labels: ambient }), await node.createPod('last-caller')];
    await node.enrolled(pod);
    const open = [
      await EchoClient.open(caller.netns, pod.ip, 8080),
      await EchoClient.open(caller.netns, pod.ip6, 8080),
    ];
    for (const connection of open) await connection.check();
    await node.client.delete(kinds.Pod, pod.name, 'demo', { gracePeriodSeconds: 600 });
    ok((await node.getPod(pod)).metadata.deletionTimestamp);
    await node.stopAgent();
    await node.startAgent();
    await node.reconnectZtunnel();
    ok(node.ztunnel.requests.includes(`add ${pod.uid}`), node.ztunnel.requests.join());
    for (const connection of open) {
      await connection.check();
      connection.close();
    }
    for (const ip of [pod.ip, pod.ip6]) {
      const late = await EchoClient.open(caller.netns, ip, 8080);
      await late.check();
      late.close();
    }
    await node.deletePod(pod);
    await eventually('it is dropped once it is gone', () => !node.ztunnel.served.has(pod.uid));
  });

  test('where a network plugin gives probes another address, the address of the node and the probed ports are left out', async () => {
    const masquerade = `table inet plugin {
  chain post {
    type nat hook postrouting priority 90;
    ip daddr 10.244.1.0/24 snat ip to 10.244.1.1
    ip6 daddr fd00:10:244:1::/64 snat ip6 to fd00:10:244:1::1
  }
}
`;
    execFileSync('nft', ['-f', '-'], { input: masquerade });
    try {
      const readinessProbe = { tcpSocket: { port: 8080 } };
      const pod = await node.createPod('masked', {
        labels: ambient,
        spec: { containers: [{ name: 'app', image: 'app', readinessProbe }] },
      });
      await node.serveEcho(pod.namespace, 9090);
      await node.enrolled(pod);
      await eventually('an Event tells', async () =>
        (await node.eventsOf(pod)).some(({ reason }) => reason === 'ProbesExempted'),
      );
      const relayedTo = async (host: string, port: number): Promise<number> => {
        const before = node.ztunnel.relayed;
        const client = new EchoClient(await dial({ host, port, timeoutMs: 2000 }));
        await client.check(100);
        client.close();
        return node.ztunnel.relayed - before;
      };
      for (const ip of [pod.ip, pod.ip6]) {
        await eventually('the probed port is left out', async () => (await relayedTo(ip, 8080)) === 0);
        equal(await relayedTo(ip, 9090), 1, 'no other');
      }
      deepEqual(
        (await node.getPod(pod)).status?.conditions?.filter(({ type }) => type === 'ambit.io/ProbesBlocked') ?? [],
        [],
      );
    } finally {
      execFileSync('nft', ['delete', 'table', 'inet', 'plugin']);
    }
  });

  test('a deleted pod is dropped at once', async () => {
    const pod = await node.createPod('short', { labels: ambient });
    await eventually('short is enrolled', async () => (await node.redirectionOf(pod)) === 'enabled');
    await node.deletePod(pod);
    await eventually('ztunnel dropped it', () => !node.ztunnel.served.has(pod.uid));
    for (const ip of [pod.ip, pod.ip6])
      await eventually('its address is out of the probe rules', () => !probed().includes(ip));
  });

  test('addresses that another pod has by now stay exempted when the one before is gone', async () => {
    const [former, latter] = [
      await node.createPod('former', { labels: ambient }),
      await node.createPod('latter', { labels: ambient }),
    ];
    for (const pod of [former, latter]) await node.enrolled(pod);
    await node.setRunning(latter.name, [former.ip, former.ip6]);
    await eventually('the latter has them', () => !probed().includes(latter.ip) && !probed().includes(latter.ip6));
    await node.deletePod(former);
    await eventually('ztunnel dropped the former', () => !node.ztunnel.served.has(former.uid));
    // What follows is written after what was written for that.
    const next = await node.createPod('next', { labels: ambient });
    await node.enrolled(next);
    const now = probed();
    for (const ip of [former.ip, former.ip6, next.ip, next.ip6]) ok(now.includes(ip), ip);
  });

  test('says that it is ready, and counts', async () => {
    const answer = await fetch(`http://127.0.0.1:${node.agent.adminPorts.readiness}/readyz`);
    equal(answer.status, 200);
    const metrics = await node.metrics();
    ok(/^ztunnel_connected 1$/m.test(metrics), metrics);
    ok(/nodeagent_reconcile_events_total\{type="enrolled"\} \d+/.test(metrics), metrics);
  });
});
