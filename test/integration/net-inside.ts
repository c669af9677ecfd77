import { after, before, describe, test } from 'node:test';
import { deepEqual, equal, ok, rejects, throws } from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { promisify } from 'node:util';
import {
  addPolicyRouting,
  applyNft,
  checkPrivileges,
  closeNetns,
  dial,
  listen,
  listNftTable,
  namespacesOfThreads,
  netnsIdentity,
  openDatagramSocket,
  openNetns,
  originalDestination,
  removePolicyRouting,
  withNetns,
  type AcceptedSocket,
  type Listener,
} from '../../src/net/index.ts';
import { joinPod, openTestNamespace, type TestNamespace } from './net-namespaces.ts';

describe('sockets in other network namespaces', { timeout: 160_000 }, () => {
  let node: TestNamespace;
  let pod: TestNamespace;
  let client: TestNamespace;
  let podNetns = -1;
  let clientNetns = -1;
  const listeners: Listener[] = [];

  before(async () => {
    deepEqual(await checkPrivileges(), { adoptsSockets: true });
    [node, pod, client] = await Promise.all([openTestNamespace(), openTestNamespace(), openTestNamespace()]);
    await joinPod(node, pod, '10.244.1.2', '10.244.1.1', 'pod');
    await joinPod(node, client, '10.244.1.3', '10.244.1.1', 'client');
    podNetns = openNetns(pod.path);
    clientNetns = openNetns(client.path);
  });

  after(async () => {
    await Promise.all(listeners.map((listener) => listener.close()));
    closeNetns(podNetns);
    closeNetns(clientNetns);
    await Promise.all([pod.close(), client.close()]);
    await node.close();
  });

  /** A listener in the pod, and the next connection it gets. */
  const listenInPod = async (
    port: number,
    options: { host?: string; mark?: number; transparent?: boolean } = {},
  ): Promise<{ listener: Listener; next: () => Promise<AcceptedSocket> }> => {
    const queue: AcceptedSocket[] = [];
    let wake: () => void = () => {};
    const listener = await listen({
      host: '::',
      ...options,
      netns: podNetns,
      port,
      onConnection: (accepted) => {
        queue.push(accepted);
        wake();
      },
    });
    listeners.push(listener);
    return {
      listener,
      async next() {
        while (queue.length === 0) await new Promise<void>((resolve) => (wake = resolve));
        return queue.shift() as AcceptedSocket;
      },
    };
  };

  const dialPod = (port: number): Promise<Socket> =>
    dial({ netns: clientNetns, host: '10.244.1.2', port, timeoutMs: 10_000 });

  test('a listener and a dialler each live in their namespace, and no thread stays behind', async () => {
    const { next } = await listenInPod(8080);
    const socket = await dialPod(8080);
    const accepted = await next();
    deepEqual([accepted.remoteAddress, accepted.remotePort], ['10.244.1.3', socket.localPort]);
    equal(originalDestination(accepted.socket), undefined);
    equal(namespacesOfThreads().size, 1);
    accepted.socket.destroy();
    socket.destroy();
  });

  test('two descriptors of one namespace are the same, of two are not', () => {
    const again = openNetns(pod.path);
    equal(netnsIdentity(again), netnsIdentity(podNetns));
    ok(netnsIdentity(clientNetns) !== netnsIdentity(podNetns));
    closeNetns(again);
  });

  test('what is thrown inside a namespace comes out, and the thread is home again', () => {
    const home = [...namespacesOfThreads()];
    try {
      withNetns(podNetns, () => {
        throw new Error('inside');
      });
    } catch (error) {
      equal((error as Error).message, 'inside');
    }
    deepEqual([...namespacesOfThreads()], home);
  });

  test('refused, unreachable and unanswered dials say so', async () => {
    await rejects(dialPod(1), { code: 'net.connection-refused', blame: 'upstream' });
    await rejects(
      dial({ netns: clientNetns, host: '10.244.1.9', port: 1, timeoutMs: 100 }),
      (error: { code: string }) => ['net.connect-timeout', 'net.unreachable'].includes(error.code),
    );
    const aborting = new AbortController();
    const dialling = dial({
      netns: clientNetns,
      host: '10.244.1.9',
      port: 1,
      timeoutMs: 10_000,
      signal: aborting.signal,
    });
    aborting.abort();
    await rejects(dialling, { code: 'net.aborted' });
  });

  test('a datagram socket is refused where no link is up yet, as it would answer from any address', async () => {
    const holder = spawn('unshare', ['--net', 'sh', '-c', 'echo ready && exec cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = once(holder, 'exit');
    await once(holder.stdout, 'data');
    const netns = openNetns(`/proc/${holder.pid}/ns/net`);
    const open = (): number => openDatagramSocket({ netns, host: '127.0.0.1', port: 53 });
    try {
      throws(open, { code: 'net.eaddrnotavail' });
      await promisify(execFile)('nsenter', [`--net=/proc/${holder.pid}/ns/net`, 'ip', 'link', 'set', 'lo', 'up']);
      closeSync(open());
    } finally {
      closeNetns(netns);
      holder.stdin.end();
      await ended;
    }
  });

  test('a redirected connection knows its original destination', async () => {
    const { next } = await listenInPod(15006, { mark: 0x539, transparent: true });
    await applyNft({
      netns: podNetns,
      script: `table inet net-test {
        chain pre { type nat hook prerouting priority dstnat; policy accept; tcp dport 9999 redirect to :15006; }
      }`,
    });
    ok((await listNftTable('inet', 'net-test', { netns: podNetns }))?.includes('redirect to :15006'));
    const socket = await dialPod(9999);
    const accepted = await next();
    deepEqual(originalDestination(accepted.socket), { address: '10.244.1.2', port: 9999 });
    equal(accepted.remoteAddress, '10.244.1.3');
    accepted.socket.destroy();
    socket.destroy();
    await applyNft({ netns: podNetns, script: 'delete table inet net-test' });
    equal(await listNftTable('inet', 'net-test', { netns: podNetns }), undefined);
  });

  test("a rule that does not parse is refused in nft's own words, and nothing changes", async () => {
    await rejects(applyNft({ netns: podNetns, script: 'table inet net-test { }\nnonsense' }), /syntax error/);
    equal(await listNftTable('inet', 'net-test', { netns: podNetns }), undefined);
  });

  test("a transparent dial reaches the application under the client's address", async () => {
    const { next } = await listenInPod(8081);
    addPolicyRouting(podNetns);
    addPolicyRouting(podNetns);
    equal((await pod.exec('ip', 'rule')).match(/fwmark 0x111\/0xfff lookup 100/g)?.length, 1);
    equal((await pod.exec('ip', '-6', 'rule')).match(/fwmark 0x111\/0xfff lookup 100/g)?.length, 1);
    await applyNft({
      netns: podNetns,
      script: `table inet net-test {
        chain pre { type filter hook prerouting priority mangle; policy accept; meta mark & 0xfff == 0x539 ct mark set 0x111; }
        chain out { type route hook output priority mangle; policy accept; ct mark & 0xfff == 0x111 meta mark set ct mark; }
      }`,
    });
    const dialAsClient = (): Promise<Socket> =>
      dial({
        netns: podNetns,
        host: '10.244.1.2',
        port: 8081,
        localIp: '10.244.1.3',
        transparent: true,
        mark: 0x539,
        timeoutMs: 10_000,
      });
    const socket = await dialAsClient();
    const accepted = await next();
    equal(accepted.remoteAddress, '10.244.1.3');
    // The client itself may be connected from any port of its own range: ours are others.
    for (let i = 0; i < 200; i++) {
      const extra = await dialAsClient();
      const { socket: served, remotePort } = await next();
      ok(remotePort < 32_768 || remotePort > 60_999, `port ${remotePort}`);
      extra.destroy();
      served.destroy();
    }
    accepted.socket.end('hello');
    socket.resume();
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    equal(chunk.toString(), 'hello');
    socket.destroy();
    accepted.socket.destroy();
    await applyNft({ netns: podNetns, script: 'delete table inet net-test' });
    removePolicyRouting(podNetns);
    removePolicyRouting(podNetns);
    equal((await pod.exec('ip', 'rule')).includes('0x111'), false);
    equal(await pod.exec('sh', '-c', 'ip route show table 100; ip -6 route show table 100'), '');
  });

  test('a closed listener frees its port at once', async () => {
    const { listener } = await listenInPod(8090);
    await listener.close();
    await rejects(dialPod(8090), { code: 'net.connection-refused' });
    await listenInPod(8090);
  });
});
