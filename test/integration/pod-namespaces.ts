/** Pods of a test in namespaces of their own around one node, with IPv4 and IPv6, redirected to data parts. */
import type { Socket } from 'node:net';
import {
  addPolicyRouting,
  applyNft,
  closeNetns,
  dial,
  listen,
  openListenSocket,
  openNetns,
  type AcceptedSocket,
  type Listener,
} from '../../src/net/index.ts';
import { hbonePort, outboundPort, plaintextPort, proxyMark } from '../../src/ztunnel/ports.ts';
import type { TestDataPart } from './ztunnel-fixture.ts';
import { joinPod, openTestNamespace, type TestNamespace } from './net-namespaces.ts';

export interface TestPod {
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly ip4: string;
  readonly ip6: string;
  readonly space: TestNamespace;
  readonly netns: number;
}

const mangleAndRedirect = `table inet test-ambient {
  chain prerouting-mangle { type filter hook prerouting priority mangle; policy accept;
    meta mark & 0xfff == 0x539 ct mark set 0x111
  }
  chain output-mangle { type route hook output priority mangle; policy accept;
    ct mark & 0xfff == 0x111 meta mark set ct mark
  }
  chain prerouting-nat { type nat hook prerouting priority dstnat; policy accept;
    iifname "lo" accept
    meta l4proto tcp tcp dport != 15008 meta mark & 0xfff != 0x539 redirect to :15006
  }
  chain output-nat { type nat hook output priority -100; policy accept;
    meta mark & 0xfff == { 0x539, 0x111 } accept
    oifname "lo" accept
    meta l4proto tcp redirect to :15001
  }
}
`;

/** One node and its pods. */
export class TestPods {
  readonly #node: TestNamespace;
  readonly #pods: TestPod[] = [];
  readonly #listeners: Listener[] = [];
  readonly #open = new Set<Socket>();

  private constructor(node: TestNamespace) {
    this.#node = node;
  }

  static async open(): Promise<TestPods> {
    const node = await openTestNamespace();
    await node.exec('sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1');
    return new TestPods(node);
  }

  /** `name` is `namespace/name`, and the service account too; addresses are 10.244.0.n and fd00:244::n. */
  async add(name: string, n: number): Promise<TestPod> {
    const [namespace = '', podName = ''] = name.split('/');
    const space = await openTestNamespace();
    const ip4 = `10.244.0.${n}`;
    const ip6 = `fd00:244::${n.toString(16)}`;
    const link = `pod${n}`;
    await joinPod(this.#node, space, ip4, '10.244.255.1', link);
    await this.#node.exec(
      'sh',
      '-c',
      `ip addr add fd00:245::1/128 dev ${link} nodad; ip route add ${ip6}/128 dev ${link}`,
    );
    await space.exec(
      'sh',
      '-c',
      `ip addr add ${ip6}/128 dev eth0 nodad; ip route add fd00:245::1/128 dev eth0; ip -6 route add default via fd00:245::1`,
    );
    const netns = openNetns(space.path);
    const pod = { name: podName, namespace, serviceAccount: podName, ip4, ip6, space, netns };
    this.#pods.push(pod);
    return pod;
  }

  /** Redirects the pod, and has `part` serve it. */
  async enrol(pod: TestPod, part: TestDataPart): Promise<void> {
    const { name, namespace, serviceAccount } = pod;
    addPolicyRouting(pod.netns);
    const open = (port: number): number =>
      openListenSocket({ netns: pod.netns, host: '::', port, mark: proxyMark, transparent: true });
    await part.serve({
      pod: { uid: uidOf(pod), name, namespace, serviceAccount },
      netns: openNetns(pod.space.path),
      listeners: { hbone: open(hbonePort), plaintext: open(plaintextPort), outbound: open(outboundPort) },
    });
    await applyNft({ netns: pod.netns, script: mangleAndRedirect });
  }

  /** An application in the pod. */
  async serve(
    pod: TestPod,
    at: { readonly host?: string; readonly port: number },
    onConnection: (accepted: AcceptedSocket) => void,
  ): Promise<Listener> {
    const listener = await listen({
      netns: pod.netns,
      host: at.host ?? '::',
      port: at.port,
      onConnection: (accepted) => {
        this.keep(accepted.socket);
        onConnection(accepted);
      },
    });
    this.#listeners.push(listener);
    return listener;
  }

  /** An application that says the pod's name, and then what it is told. */
  echo(pod: TestPod, port: number, host?: string): Promise<Listener> {
    return this.serve(pod, { port, ...(host === undefined ? {} : { host }) }, ({ socket }) => {
      socket.write(`${pod.name}:`);
      socket.pipe(socket);
    });
  }

  async connect(pod: TestPod, host: string, port: number): Promise<Socket> {
    return this.keep(await dial({ netns: pod.netns, host, port, timeoutMs: 10_000 }));
  }

  /** What an application in the pod gets back; undefined when it is refused or reset. */
  async ask(pod: TestPod, host: string, port: number, text = 'ping'): Promise<string | undefined> {
    const socket = await this.connect(pod, host, port).catch(() => undefined);
    if (!socket) return undefined;
    return new Promise((resolve) => {
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      socket.on('close', (failed: boolean) => resolve(failed ? undefined : Buffer.concat(chunks).toString()));
      socket.resume();
      socket.end(text);
    });
  }

  keep(socket: Socket): Socket {
    this.#open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#open.delete(socket));
    return socket;
  }

  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    for (const listener of this.#listeners) await listener.close();
    for (const { netns } of this.#pods) closeNetns(netns);
    for (const { space } of this.#pods) await space.close();
    await this.#node.close();
  }
}

export function uidOf({ namespace, name }: TestPod): string {
  return `uid-${namespace}-${name}`;
}
