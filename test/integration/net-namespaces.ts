/** Network namespaces of a test: each lives as long as a child that waits on our pipe, so none outlives the test, however it ends. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface TestNamespace {
  readonly pid: number;
  /** For `openNetns`. */
  readonly path: string;
  /** Runs a command inside; resolves to its output. */
  exec(...command: string[]): Promise<string>;
  /** Starts a command inside; it ends with the namespace. */
  spawn(command: string, args: readonly string[]): ChildProcess;
  /** A fresh IPv4 veth to `other`: `/32` addresses and routes to each other over eth0 here and `name` there. */
  close(): Promise<void>;
}

/** A namespace with lo up. */
export async function openTestNamespace(): Promise<TestNamespace> {
  const holder = spawn('unshare', ['--net', 'sh', '-c', 'ip link set lo up && echo ready && exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(holder, 'exit');
  await once(holder.stdout, 'data');
  const pid = holder.pid as number;
  const path = `/proc/${pid}/ns/net`;
  readlinkSync(path);
  const children: ChildProcess[] = [];
  return {
    pid,
    path,
    exec: async (...command) => (await run('nsenter', [`--net=${path}`, ...command])).stdout,
    spawn(command, args) {
      const child = spawn('nsenter', [`--net=${path}`, command, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
      children.push(child);
      return child;
    },
    async close() {
      for (const child of children) child.kill('SIGKILL');
      holder.stdin.end();
      await ended;
    },
  };
}

/** Joins a pod to its node the way the local mesh does: veth, /32 addresses, the node's gateway address as default route. */
export async function joinPod(
  node: TestNamespace,
  pod: TestNamespace,
  podIp: string,
  gatewayIp: string,
  hostLink: string,
): Promise<void> {
  await node.exec('ip', 'link', 'add', hostLink, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(pod.pid));
  await node.exec(
    'sh',
    '-c',
    `ip addr add ${gatewayIp}/32 dev ${hostLink}; ip link set ${hostLink} up; ip route add ${podIp}/32 dev ${hostLink}; sysctl -qw net.ipv4.ip_forward=1`,
  );
  await pod.exec(
    'sh',
    '-c',
    `ip addr add ${podIp}/32 dev eth0; ip link set eth0 up; ip route add ${gatewayIp}/32 dev eth0 scope link; ip route add default via ${gatewayIp}`,
  );
}
