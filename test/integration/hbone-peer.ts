/** A waypoint or an east-west gateway as a peer of ours: HBONE on 15008 of a pod, by our own library. */
import { acceptTls, type WorkloadCertificate } from '../../src/identity/index.ts';
import { serveHbone, type ConnectRequest } from '../../src/hbone/index.ts';
import { dial, listen, pump, tcpChannel, tlsChannel, type ByteChannel, type Listener } from '../../src/net/index.ts';
import type { TestPod } from './pod-namespaces.ts';

export interface HbonePeer {
  /** What was asked of it: authority, who asked, and the headers. */
  readonly requests: {
    readonly authority: string;
    readonly from: string;
    readonly headers: ReadonlyMap<string, string>;
  }[];
  /** TLS connections so far. */
  readonly connections: number;
  close(): Promise<void>;
}

/** `carry` decides over each CONNECT. */
export async function startHbonePeer(options: {
  readonly pod: TestPod;
  readonly certificate: WorkloadCertificate;
  readonly port?: number;
  readonly carry: (request: ConnectRequest) => void | Promise<void>;
}): Promise<HbonePeer> {
  const { pod, certificate, carry } = options;
  const requests: HbonePeer['requests'] = [];
  let connections = 0;
  const closes: (() => void)[] = [];
  const listener: Listener = await listen({
    netns: pod.netns,
    host: '::',
    port: options.port ?? 15008,
    onConnection({ socket }) {
      acceptTls({ socket, certificate }).then(
        (peer) => {
          connections++;
          const session = serveHbone(tlsChannel(peer.socket), {
            onConnect(request) {
              const headers = new Map<string, string>();
              for (let i = 0; i < request.headers.fields.length; i += 2) {
                headers.set(request.headers.fields[i] as string, request.headers.fields[i + 1] as string);
              }
              requests.push({ authority: request.authority, from: peer.identity, headers });
              void carry(request);
            },
          });
          closes.push(() => session.close());
        },
        () => socket.destroy(),
      );
    },
  });
  return {
    requests,
    get connections() {
      return connections;
    },
    async close() {
      for (const run of closes) run();
      await listener.close();
    },
  };
}

/** Carries opaque bytes to an address, as a gateway between networks does. */
export async function carryTo(request: ConnectRequest, from: TestPod, host: string, port: number): Promise<void> {
  try {
    const socket = await dial({ netns: from.netns, host, port, timeoutMs: 5000 });
    join(request.accept(), tcpChannel(socket));
  } catch {
    request.refuse(503);
  }
}

/** Answers with a line, then ends when the client does. */
export function answerWith(request: ConnectRequest, text: string): void {
  const channel = request.accept();
  channel.read({
    neverKeeps: true,
    onData(bytes) {
      channel.credit(bytes.length);
      return false;
    },
    onEnd() {
      channel.write(Buffer.from(text));
      channel.end();
    },
    onDrain() {},
    onClose() {},
  });
}

function join(a: ByteChannel, b: ByteChannel): void {
  pump(a, b, { onEnd() {} });
}
