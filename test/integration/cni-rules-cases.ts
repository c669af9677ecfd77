/** Scenarios of the packet rules in pods, by nft and by iptables: what they capture, whom they believe, and that they stay. */
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { captureAll } from '../../src/cni/rules/capture-settings.ts';
import { chooseRuleWriter, type RuleProgram } from '../../src/cni/rules/rule-writer.ts';
import { silentLog } from '../../src/lib/log.ts';
import { checkPrivileges, closeNetns, dial, listen, openNetns } from '../../src/net/index.ts';
import { connectFrom, sendStrayAck } from '../support/stray-segment.ts';
import { ambient, CniNode, EchoClient, eventually, type TestPod } from './cni-node.ts';
import { openTestNamespace } from './net-namespaces.ts';

const wellKnownMark = 0x539;
const returnMark = 0x111;

const clusterDns = {
  nameservers: ['10.96.0.10', 'fd00::10'],
  clusterDomain: 'cluster.local',
  nodeResolvConf: '',
};

function isInstalled(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

export function describeRules(program: RuleProgram): void {
  const skip = isInstalled(program) ? false : `${program} is not installed`;
  describe(`rules by ${program}`, { timeout: 160_000, skip }, () => {
    let node: CniNode;

    before(async () => {
      node = await CniNode.open({ ruleProgram: program, clusterDns }, ['mark', 'resolver']);
    });
    beforeEach(() => {
      node.callers.length = 0;
    });
    afterEach(() => node.deletePods());
    after(() => node?.close());

    /** How many connections of `work` went through the relay. */
    async function relayedBy(work: () => Promise<void>): Promise<number> {
      const before = node.ztunnel.relayed;
      await work();
      return node.ztunnel.relayed - before;
    }

    const talk = async (from: TestPod, to: string, options: { mark?: number; port?: number } = {}): Promise<void> => {
      const { mark, port = 8080 } = options;
      const socket = await dial({
        netns: from.netns,
        host: to,
        port,
        timeoutMs: mark === returnMark ? 1000 : 10_000,
        ...(mark === undefined ? {} : { mark }),
      });
      const client = new EchoClient(socket);
      await client.check(2000);
      client.close();
    };

    test('captures in and out, in IPv4 and IPv6, and the application sees who calls', async () => {
      const [inside, outside] = [await node.createPod('both', { labels: ambient }), await node.createPod('peer')];
      await node.enrolled(inside);
      for (const ip of ['ip', 'ip6'] as const) {
        equal(await relayedBy(() => talk(outside, inside[ip])), 1, `in by ${ip}`);
        equal(await relayedBy(() => talk(inside, outside[ip])), 1, `out by ${ip}`);
      }
      deepEqual(node.callers, [outside.ip, inside.ip, outside.ip6, inside.ip6]);
    });

    test('an application that sets the marks of a proxy is captured all the same', async () => {
      const [inside, outside] = [await node.createPod('marked', { labels: ambient }), await node.createPod('target')];
      await node.enrolled(inside);
      const secret = node.ztunnel.told.get(inside.uid)?.mark ?? 0;
      ok(secret > 0xfff);
      for (const ip of [outside.ip, outside.ip6]) {
        equal(await relayedBy(() => talk(inside, ip, { mark: wellKnownMark })), 1);
        equal(await relayedBy(() => talk(inside, ip, { mark: 0xfff539 })), 1);
        equal(await relayedBy(() => talk(inside, ip, { mark: secret })), 0, 'the proxy itself is not');
      }
      // It looks up the local table: whatever it meets, it is inside the pod.
      node.callers.length = 0;
      await talk(inside, outside.ip, { mark: returnMark }).catch(() => {});
      ok(!node.callers.includes(inside.ip), 'nobody outside was reached past the proxy');
    });

    test('the secret leaves no trace on packets, where a capture would show it', async () => {
      const [inside, outside] = [await node.createPod('quiet', { labels: ambient }), await node.createPod('far')];
      await node.enrolled(inside);
      const secret = node.ztunnel.told.get(inside.uid)?.mark ?? 0;
      // After our postrouting chain, as packet sockets are.
      const seen = `table inet probe {
  chain last {
    type filter hook postrouting priority 300;
    meta mark ${secret} counter
    tcp dport 8080 counter
  }
}
`;
      execFileSync('nsenter', [`--net=${inside.namespace.path}`, 'nft', '-f', '-'], { input: seen });
      for (const ip of ['ip', 'ip6'] as const) {
        await talk(inside, outside[ip]);
        await talk(outside, inside[ip]);
      }
      const listed = node.inside(inside, 'nft', 'list', 'table', 'inet', 'probe');
      match(listed, /dport 8080 counter packets [1-9]/);
      match(listed, /meta mark 0x[0-9a-f]+ counter packets 0 /);
      node.inside(inside, 'nft', 'delete', 'table', 'inet', 'probe');
    });

    for (const direction of ['in', 'out'] as const) {
      test(`a stray packet ahead of a connection gets nobody past the mesh, on the way ${direction}`, async () => {
        const inside = await node.createPod(`strayed-${direction}`, { labels: ambient });
        const outside = await node.createPod(`stray-${direction}`);
        await node.enrolled(inside);
        const [from, to] = direction === 'in' ? [outside, inside] : [inside, outside];
        const setting = 'net.netfilter.nf_conntrack_tcp_loose';
        equal(node.inside(inside, 'sysctl', '-n', setting).trim(), '0');
        // The second round as on nodes whose /proc/sys the agent may not write to: there the rules alone are left.
        for (const loose of ['0', '1']) {
          await inside.namespace.exec('sysctl', '-qw', `${setting}=${loose}`);
          for (const ip of ['ip', 'ip6'] as const) {
            const segment = {
              netns: from.netns,
              from: { address: from[ip], port: 20_000 + Number(loose) },
              to: { address: to[ip], port: 8080 },
            };
            sendStrayAck(segment);
            const before = node.ztunnel.relayed;
            const said = await connectFrom({ ...segment, timeoutMs: loose === '0' ? 10_000 : 1500 });
            const relayed = node.ztunnel.relayed - before;
            deepEqual([said, relayed], loose === '0' ? ['ping', 1] : [undefined, 0], `${ip}, loose ${loose}`);
          }
        }
        equal(await relayedBy(() => talk(from, to.ip)), 1);
      });
    }

    test('what connects from the node passes by its own address, also after somebody flushed the rules of the node', async () => {
      const pod = await node.createPod('probed', { labels: ambient });
      await node.enrolled(pod);
      const probe = async (host: string): Promise<string | undefined> => {
        const client = new EchoClient(await dial({ host, port: 8080, timeoutMs: 2000 }));
        await client.check(100).finally(() => client.close());
        return node.callers.at(-1);
      };
      const byMarker = async (): Promise<boolean> =>
        (await probe(pod.ip)) === '169.254.7.127' &&
        (await probe(pod.ip6)) === 'fd16:9254:7127:1337:ffff:ffff:ffff:ffff';
      ok(await byMarker());
      const flush = program === 'nft' ? ['nft flush ruleset'] : ['iptables -t nat -F', 'ip6tables -t nat -F'];
      for (const command of flush) execFileSync('sh', ['-c', command]);
      // What comes in between is captured, or cut by the change.
      await eventually('the rules are back', () => byMarker().catch(() => false));
      await eventually('it is counted', async () =>
        /nodeagent_reconcile_events_total\{type="probe-rules-repaired"\} \d/.test(await node.metrics()),
      );
      // Those of the pod were not concerned.
      equal(await relayedBy(async () => talk(await node.createPod('prober'), pod.ip6)), 1);
    });

    test('who tries marks is slowed down', async () => {
      const [inside, outside] = [await node.createPod('guesser', { labels: ambient }), await node.createPod('guessed')];
      await node.enrolled(inside);
      const tries = Array.from({ length: 400 }, (_, i) =>
        dial({ netns: inside.netns, host: outside.ip, port: 8080, timeoutMs: 300, mark: 0x7000_0000 + i }).then(
          (socket) => (socket.destroy(), true),
          () => false,
        ),
      );
      const came = (await Promise.all(tries)).filter(Boolean).length;
      ok(came < 400, `${came} of 400 came through`);
      // Those without a mark are not.
      await talk(inside, outside.ip);
    });

    test('rules that somebody flushes are put back, with an Event', async () => {
      const [inside, outside] = [await node.createPod('flushed', { labels: ambient }), await node.createPod('visitor')];
      await node.enrolled(inside);
      const flush = program === 'nft' ? ['nft flush ruleset'] : ['iptables -t nat -F', 'ip6tables -t nat -F'];
      // One that comes while the agent writes rules anyway is not noticed as such.
      await eventually('an Event tells', async () => {
        for (const command of flush) node.inside(inside, ...command.split(' '));
        node.inside(inside, 'ip', 'rule', 'del', 'pref', '32764');
        for (const ip of [inside.ip, inside.ip6])
          await eventually('connections are captured again', async () => {
            return (await relayedBy(() => talk(outside, ip).catch(() => {}))) === 1;
          });
        return (await node.eventsOf(inside)).some(({ reason }) => reason === 'RulesRepaired');
      });
      await eventually('it is counted', async () =>
        /nodeagent_reconcile_events_total\{type="rules-repaired"\} \d/.test(await node.metrics()),
      );
      await eventually('the return path is back', () => node.inside(inside, 'ip', 'rule').includes('0x111'));
      for (const ip of [inside.ip, inside.ip6]) equal(await relayedBy(() => talk(outside, ip)), 1);
    });

    test("Istio's annotations leave out ports and ranges, at once and without cutting anybody", async () => {
      const [inside, outside] = [await node.createPod('partly', { labels: ambient }), await node.createPod('other')];
      await node.serveEcho(outside.namespace, 9090);
      await node.serveEcho(inside.namespace, 9090);
      await node.enrolled(inside);
      const old = await EchoClient.open(inside.netns, outside.ip, 8080);
      await old.check();
      const set = (name: string, value: string | null): Promise<unknown> =>
        node.change(inside, { annotations: { [`traffic.sidecar.istio.io/${name}`]: value } });
      const becomes = (relayed: number, work: () => Promise<void>): Promise<void> =>
        eventually(`${relayed} are relayed`, async () => (await relayedBy(work)) === relayed);

      await set('excludeOutboundPorts', '9090');
      for (const ip of [outside.ip, outside.ip6]) {
        await becomes(0, () => talk(inside, ip, { port: 9090 }));
        equal(await relayedBy(() => talk(inside, ip)), 1);
      }
      await set('excludeInboundPorts', '9090');
      for (const ip of [inside.ip, inside.ip6]) {
        await becomes(0, () => talk(outside, ip, { port: 9090 }));
        equal(await relayedBy(() => talk(outside, ip)), 1);
      }
      await set('excludeOutboundIPRanges', `${outside.ip}/32,fd00:10:244:1::/64`);
      await becomes(0, () => talk(inside, outside.ip));
      await becomes(0, () => talk(inside, outside.ip6));
      // One part is wrong: everything is captured, and somebody is told.
      await set('excludeOutboundIPRanges', `${outside.ip}/32,10.0.0.0/40`);
      await becomes(1, () => talk(inside, outside.ip));
      await eventually('a condition tells', async () =>
        ((await node.getPod(inside)).status?.conditions ?? []).some(
          ({ type, message }) => type === 'ambit.io/InvalidCaptureSettings' && message?.includes('10.0.0.0/40'),
        ),
      );
      await set('excludeOutboundIPRanges', null);
      await set('includeOutboundIPRanges', 'fd00::/8');
      await becomes(0, () => talk(inside, outside.ip));
      await becomes(1, () => talk(inside, outside.ip6));
      await set('includeInboundPorts', '');
      for (const ip of [inside.ip, inside.ip6]) await becomes(0, () => talk(outside, ip));
      await eventually(
        'the condition is gone',
        async () =>
          !((await node.getPod(inside)).status?.conditions ?? []).some(({ type }) => type.startsWith('ambit.io/')),
      );
      await old.check();
      old.close();
    });

    test('queries to the resolvers of the pod go to a port each, and those to others nowhere else', async () => {
      const inside = await node.createPod('asking', { labels: ambient });
      await node.enrolled(inside);
      deepEqual(node.ztunnel.told.get(inside.uid)?.resolver, {
        nameservers: ['10.96.0.10', 'fd00::10'],
        search: ['demo.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
        ndots: 5,
      });
      const ports: number[] = [];
      for (const port of [15053, 15054]) {
        const listener = await listen({
          netns: inside.netns,
          host: '::',
          port,
          onConnection: ({ socket }) => {
            ports.push(port);
            socket.destroy();
          },
        });
        after(() => listener.close());
      }
      const ask = (host: string): Promise<void> =>
        dial({ netns: inside.netns, host, port: 53, timeoutMs: 1000 }).then(
          (socket) => void socket.destroy(),
          () => {},
        );
      for (const [resolver, port] of [
        ['10.96.0.10', 15053],
        ['fd00::10', 15054],
      ] as const) {
        await ask(resolver);
        await eventually(`the query to ${resolver} came`, () => ports.length > 0);
        deepEqual(ports.splice(0), [port]);
      }
      const relayed = node.ztunnel.relayed;
      await ask('8.8.8.8');
      await eventually('TCP to an unknown resolver is a connection like others', () => node.ztunnel.relayed > relayed);
      const listed = program === 'nft' ? node.rulesOf(inside) : node.inside(inside, 'iptables-save');
      match(listed, /udp.*dport 53.*(redirect to :15053|REDIRECT --to-ports 15053)/);
      match(listed, /(ct zone set 1|CT --zone 1)/);
      await node.change(inside, { annotations: { 'ambient.istio.io/dns-capture': 'false' } });
      await eventually('DNS is left alone', () => !/1505[34]/.test(node.rulesOf(inside)));
    });

    test('a proxy that knows no marks and no resolvers gets rules that it can live with', async () => {
      const [inside, outside] = [await node.createPod('modest', { labels: ambient }), await node.createPod('friend')];
      await node.enrolled(inside);
      const capable = node.ztunnel;
      await node.connectZtunnel();
      capable.die();
      equal(node.ztunnel.told.get(inside.uid)?.mark, undefined);
      equal(await relayedBy(() => talk(inside, outside.ip)), 1);
      equal(await relayedBy(() => talk(outside, inside.ip)), 1);
      equal(await relayedBy(() => talk(inside, outside.ip, { mark: wellKnownMark })), 0);
      equal(/1505[34]/.test(node.rulesOf(inside)), false);
      const modest = node.ztunnel;
      await node.connectZtunnel(['mark', 'resolver']);
      modest.die();
      await eventually('the well-known mark is believed no more', async () => {
        return (await relayedBy(() => talk(inside, outside.ip, { mark: wellKnownMark }))) === 1;
      });
    });

    test('un-enrolment leaves nothing behind', async () => {
      const inside = await node.createPod('leaving', { labels: ambient });
      await node.enrolled(inside);
      await node.label(inside, null);
      await eventually('it left', () => !node.ztunnel.served.has(inside.uid));
      const left = (): string =>
        program === 'nft'
          ? node.rulesOf(inside)
          : `${node.inside(inside, 'iptables-save')}${node.inside(inside, 'ip6tables-save')}`;
      await eventually('its rules are gone', () => !/istio|ISTIO/.test(left()));
      await eventually('so is the return path', () => !node.inside(inside, 'ip', 'rule').includes('0x111'));
    });
  });
}

export function describeWithoutIp6tables(): void {
  describe(
    'iptables without ip6tables',
    { skip: isInstalled('iptables') ? false : 'iptables is not installed' },
    () => {
      test('a pod with IPv6 addresses is refused rather than left open in IPv6', async () => {
        await checkPrivileges();
        const folder = mkdtempSync(join(tmpdir(), 'ambit-ip6tables-'));
        const { PATH } = process.env;
        writeFileSync(join(folder, 'ip6tables-save'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
        process.env['PATH'] = `${folder}:${PATH}`;
        const writer = await chooseRuleWriter({ log: silentLog(), program: 'iptables' }).finally(() => {
          process.env['PATH'] = PATH;
          rmSync(folder, { recursive: true });
        });
        const space = await openTestNamespace();
        const netns = openNetns(space.path);
        try {
          const rules = {
            probeIp4: '169.254.7.127',
            probeIp6: 'fd16::1',
            probesFrom: undefined,
            capture: captureAll,
            mark: 0x7e571234,
            plainMark: false,
            dns: { kind: 'off' },
          } as const;
          await writer.redirect(netns, rules);
          await space.exec('ip', 'addr', 'add', 'fd00::7/128', 'dev', 'lo');
          await rejects(writer.redirect(netns, rules), { code: 'cni.no-ip6tables', message: /IPv6 addresses/ });
        } finally {
          closeNetns(netns);
          await space.close();
        }
      });
    },
  );
}
