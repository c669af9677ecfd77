/** Two sets of data parts on loopback addresses, joined to an echo server: connections of a known pattern, every byte compared. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import { defaultNetwork, meshService, meshWorkload } from '../../src/mesh/fixtures.ts';
import { checkPrivileges, openNetns } from '../../src/net/index.ts';
import { serviceKey } from '../../src/api/names.ts';
import { createTestAuthority, type TestAuthority } from '../support/certificates.ts';
import { startTestDataPart, type TestDataPart } from './ztunnel-fixture.ts';

const addresses = {
  IPv4: { clientIp: '127.0.82.1', serverIp: '127.0.82.2', vip: '10.96.82.1' },
  IPv6: { clientIp: 'fd82::1', serverIp: 'fd82::2', vip: 'fd00:96:82::1' },
} as const;
const webKey = serviceKey('shop', 'web.shop.svc.cluster.local');

export interface LoadedPair {
  readonly client: TestDataPart;
  readonly server: TestDataPart;
  /** A captured connection to the echo server. */
  dial(): Socket;
  close(): Promise<void>;
}

/** `authority` gives the certificates; default: one of its own. IPv6 puts its addresses on loopback. */
export async function startLoadedPair(
  authority?: Pick<TestAuthority, 'certificate'>,
  family: keyof typeof addresses = 'IPv4',
): Promise<LoadedPair> {
  const { clientIp, serverIp, vip } = addresses[family];
  await checkPrivileges();
  if (family === 'IPv6') {
    for (const ip of [clientIp, serverIp]) execFileSync('ip', ['addr', 'replace', `${ip}/128`, 'dev', 'lo', 'nodad']);
  }
  const issuer = authority ?? (await createTestAuthority());
  const open = new Set<Socket>();
  const application: Server = net.createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
    socket.pipe(socket);
  });
  application.listen({ host: serverIp, port: 0, backlog: 4096 });
  await once(application, 'listening');
  const { port } = application.address() as AddressInfo;
  const client = startTestDataPart(issuer);
  const server = startTestDataPart(issuer);
  for (const part of [client, server]) {
    part.setAddresses(
      meshWorkload({ name: 'client', namespace: 'front', serviceAccount: 'caller', addresses: [clientIp] }),
      meshWorkload({
        name: 'web',
        serviceAccount: 'web',
        addresses: [serverIp],
        services: new Map([[webKey, [{ servicePort: 80, targetPort: port, appProtocol: 'unknown' as const }]]]),
      }),
      meshService({ addresses: [{ network: defaultNetwork, ip: vip }] }),
    );
  }
  const at = { outboundPort: 15001, inboundPort: 15008, plaintextPort: 15006 };
  const nowhere = { address: clientIp, port: 1 };
  await client.serve({
    pod: { uid: 'client-uid', name: 'client', namespace: 'front', serviceAccount: 'caller' },
    // Our own one: entered for each tunnel, and counted among the descriptors.
    netns: openNetns('/proc/thread-self/ns/net'),
    listenAt: {
      ...at,
      host: clientIp,
      originalDestination: { outbound: { address: vip, port: 80 }, plaintext: nowhere },
    },
  });
  await server.serve({
    pod: { uid: 'web-uid', name: 'web', namespace: 'shop', serviceAccount: 'web' },
    listenAt: { ...at, host: serverIp, originalDestination: { outbound: nowhere, plaintext: nowhere } },
  });
  return {
    client,
    server,
    dial() {
      const socket = net.connect({ host: clientIp, port: 15001, localAddress: clientIp, allowHalfOpen: true });
      open.add(socket);
      socket.on('error', () => {}).on('close', () => open.delete(socket));
      return socket;
    },
    async close() {
      for (const socket of open) socket.destroy();
      application.close();
      await Promise.all([client.drain(100), server.drain(100)]);
    },
  };
}

const pattern = randomBytes(1 << 20);

/** Sends `byteCount` bytes that begin at another place of the pattern for each `seed`, and compares what comes back. Rejects at the first difference. */
export function exchange(socket: Socket, byteCount: number, seed: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const start = (seed * 7919) % pattern.length;
    let sent = 0;
    let received = 0;
    const write = (): void => {
      while (sent < byteCount) {
        const at = (start + sent) % pattern.length;
        const piece = pattern.subarray(at, Math.min(at + Math.min(65_536, byteCount - sent), pattern.length));
        sent += piece.length;
        if (!socket.write(piece)) return void socket.once('drain', write);
      }
      socket.end();
    };
    socket.on('data', (chunk: Buffer) => {
      for (let done = 0; done < chunk.length;) {
        const at = (start + received) % pattern.length;
        const length = Math.min(chunk.length - done, pattern.length - at);
        if (pattern.compare(chunk, done, done + length, at, at + length) !== 0) {
          socket.destroy();
          const others = chunk.subarray(done, done + 24).toString('hex');
          return reject(
            new Error(`connection ${seed}: other bytes than were sent, at ${received} of ${byteCount}: ${others}`),
          );
        }
        done += length;
        received += length;
      }
    });
    socket.once('end', () => {
      if (received === byteCount) resolve();
      else reject(new Error(`connection ${seed}: ${received} of ${byteCount} bytes came back`));
    });
    socket.once('close', (hadError) =>
      reject(new Error(`connection ${seed}: closed${hadError ? ' by an error' : ''}`)),
    );
    write();
  });
}

/** The value of the first sample whose line matches; 0 when there is none. */
export function sample(exposition: string, pattern: RegExp): number {
  const line = exposition.split('\n').find((text) => !text.startsWith('#') && pattern.test(text));
  return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(' ') + 1));
}

/** Tries again until `check` does not throw. */
export async function eventually(check: () => Promise<void> | void, timeoutMs = 60_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

export function assertAtLeast(actual: number, least: number, what: string): void {
  assert.ok(actual >= least, `${what}: ${actual}, expected at least ${least}`);
}
