/** Whether the node's probes reach a pod past the mesh: one connection, as the kubelet would make it. */
import { createSocket } from 'node:dgram';
import type { Container, Pod } from '../../api/index.ts';
import { codeOf } from '../../lib/errors.ts';
import { canonicalIp } from '../../lib/ip.ts';
import { closeDescriptor, dial, duplicateDescriptor } from '../../net/index.ts';
import { readSocketTable } from '../socket-table.ts';
import { plaintextPort } from '../rules/pod-rule-set.ts';

export type ProbePath =
  | { readonly kind: 'open' }
  /** It came in, but to the proxy: mutual TLS and policy decide about probes. */
  | { readonly kind: 'captured' }
  /** No answer at all: somebody on the way drops it. */
  | { readonly kind: 'lost' }
  /** Nobody listens yet, or it ended before it could be seen. */
  | { readonly kind: 'unknown' };

const timeoutMs = 2000;

/** Connects from the node to `ip:port` and looks, inside the pod's namespace, where the connection arrived. */
export async function testProbePath(options: {
  readonly netns: number;
  readonly ip: string;
  readonly port: number;
  /** As the kubelet's own connections have it. */
  readonly mark?: number;
}): Promise<ProbePath> {
  const { ip, port, mark } = options;
  // Enrolment may close its own while we connect, and the number be another namespace's.
  let netns: number | undefined;
  try {
    netns = duplicateDescriptor(options.netns);
    const socket = await dial({ host: ip, port, timeoutMs, ...(mark === undefined ? {} : { mark }) });
    try {
      const arrived = readSocketTable(netns).find(
        (row) => row.remotePort === socket.localPort && (row.localPort === port || row.localPort === plaintextPort),
      );
      if (!arrived) return { kind: 'unknown' };
      return { kind: arrived.localPort === plaintextPort && port !== plaintextPort ? 'captured' : 'open' };
    } finally {
      socket.resetAndDestroy();
    }
  } catch (error) {
    return { kind: codeOf(error) === 'net.connect-timeout' ? 'lost' : 'unknown' };
  } finally {
    if (netns !== undefined) closeDescriptor(netns);
  }
}

/** The address that the node has towards `ip`, when nobody translates it. */
export function addressTowards(ip: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(ip.includes(':') ? 'udp6' : 'udp4');
    const done = (address: string | undefined): void => {
      socket.close();
      resolve(address);
    };
    socket.once('error', () => done(undefined));
    // Sends nothing: the kernel only looks up the route.
    socket.connect(9, ip, () => done(canonicalIp(socket.address().address)));
  });
}

/** TCP ports that the kubelet connects to, each once. */
export function probePorts(pod: Pod): number[] {
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  const ports = new Set<number>();
  for (const container of [...sidecars, ...pod.spec.containers]) {
    for (const probe of [container.startupProbe, container.readinessProbe, container.livenessProbe]) {
      if (!probe) continue;
      const { httpGet, tcpSocket, grpc } = probe;
      // One with a host of its own goes elsewhere.
      if (httpGet && !httpGet.host) add(ports, container, httpGet.port);
      if (tcpSocket && !tcpSocket.host) add(ports, container, tcpSocket.port);
      if (grpc) add(ports, container, grpc.port);
    }
  }
  return [...ports];
}

function add(ports: Set<number>, container: Container, port: number | string | undefined): void {
  const named = container.ports?.find(({ name }) => name !== undefined && name === port)?.containerPort;
  const number = named ?? Number(port);
  if (Number.isInteger(number) && number > 0 && number < 65_536) ports.add(number);
}
