/** A workload that opens tunnels to 15008 of others, by our own library: from its namespace, with its certificate. */
import type { SpiffeId } from '../../src/api/names.ts';
import { createHbonePool, type HbonePool, type PoolKey } from '../../src/hbone/index.ts';
import { connectTls, type WorkloadCertificate } from '../../src/identity/index.ts';
import { dial, tlsChannel, type ByteChannel } from '../../src/net/index.ts';
import type { TestPod } from './pod-namespaces.ts';

export interface TunnelClient {
  /** What comes back for a CONNECT at `ip` with 'ping' in it; `status reason` when it is refused. */
  ask(authority: string, ip: string, headers?: Record<string, string>): Promise<string>;
  open(authority: string, ip: string, headers?: Record<string, string>): Promise<ByteChannel>;
  close(): void;
}

export function openTunnelClient(options: {
  readonly pod: TestPod;
  readonly certificate: WorkloadCertificate;
  /** Whom it takes for the other end. */
  readonly expected: SpiffeId;
}): TunnelClient {
  const { pod, certificate, expected } = options;
  const pool: HbonePool<PoolKey & { readonly ip: string }> = createHbonePool({
    async dial({ ip }) {
      const socket = await dial({ netns: pod.netns, host: ip, port: 15008, timeoutMs: 10_000 });
      return tlsChannel((await connectTls({ socket, certificate, expected: [expected] })).socket);
    },
  });
  const open: TunnelClient['open'] = (authority, ip, headers = {}) =>
    pool.connect({ id: ip, ip }, { authority, headers });
  return {
    open,
    async ask(authority, ip, headers) {
      const tunnel = await open(authority, ip, headers).catch((error: Error) => error);
      if (tunnel instanceof Error) return tunnel.message;
      return new Promise((resolve) => {
        let text = '';
        tunnel.read({
          neverKeeps: true,
          onData(bytes) {
            text += Buffer.from(bytes).toString('latin1');
            tunnel.credit(bytes.length);
            return false;
          },
          onEnd() {},
          onDrain() {},
          onClose: (error) => resolve(error ? error.message : text),
        });
        tunnel.write(Buffer.from('ping'));
        tunnel.end();
      });
    },
    close: () => pool.close(),
  };
}
