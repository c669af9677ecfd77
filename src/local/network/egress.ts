/** The mesh's half of `--egress`: turns connections to addresses outside to a relay here, which asks the host to connect. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { DnsStreamReader, frameDnsMessage, originalDestination } from '../../net/index.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { meshCidrs, meshCidrs6, type IpFamily } from './addresses.ts';
import { runTool } from './tool.ts';

export interface EgressOptions {
  /** Where the relay listens in this namespace, and the source of what leaves from here: one of each family there is. */
  readonly addresses: Readonly<Partial<Record<IpFamily, { readonly listen: string; readonly source: string }>>>;
  /** Link that the default route names: nothing leaves by it. */
  readonly device: string;
  /** Unix socket of the host's half. */
  readonly relayPath: string;
  readonly log: Log;
}

const relayPort = 15_099;
const maxConnections = 2048;
const answerTimeoutMs = 20_000;
const maxAnswerBytes = 64;

/**
 * Starts the relay, then leads to it every new TCP connection of the caller's network namespace, and of those behind it,
 * that goes outside the mesh; DNS queries over UDP go to the name server on the same address. All else is refused.
 */
export async function startEgress(options: EgressOptions): Promise<{ close(): void }> {
  const servers: Server[] = [];
  const hosts = Object.values(options.addresses).map(({ listen }) => listen);
  for (const host of hosts) servers.push(await listen(host, options));
  await runTool({ command: ['nft', '-f', '-'], input: egressScript(options) });
  const routes = Object.entries(options.addresses).map(
    ([family, { source }]) =>
      `route replace ${family === 'IPv4' ? '0.0.0.0/0' : '::/0'} dev ${options.device} src ${source}`,
  );
  // The unreachable route of before is another entry for IPv6: it stands in the way.
  await runTool({ command: ['ip', '-force', '-batch', '-'], input: 'route del unreachable ::/0\n' }).catch(() => {});
  await runTool({ command: ['ip', '-batch', '-'], input: `${routes.join('\n')}\n` });
  return {
    close() {
      for (const server of servers) server.close();
    },
  };
}

/** Pure: the rules. They come after those for Services, which may rewrite external addresses first. */
export function egressScript({ addresses }: Pick<EgressOptions, 'addresses'>): string {
  const turned: string[] = [];
  const refused: string[] = [];
  for (const family of ['IPv4', 'IPv6'] as const) {
    const own = addresses[family];
    if (!own) continue;
    const ip = family === 'IPv4' ? 'ip' : 'ip6';
    const inside = family === 'IPv4' ? [...meshCidrs, ...localCidrs] : [...meshCidrs6, ...localCidrs6];
    const host = family === 'IPv4' ? own.listen : `[${own.listen}]`;
    turned.push(`${ip} daddr { ${inside.join(', ')} } accept`);
    turned.push(`meta nfproto ${family.toLowerCase()} meta l4proto tcp dnat ${ip} to ${host}:${relayPort}`);
    // The name server listens on IPv4 alone.
    if (family === 'IPv4') turned.push(`meta nfproto ipv4 udp dport 53 dnat ip to ${host}:53`);
    refused.push(`${ip} daddr { ${inside.join(', ')} } accept`);
  }
  refused.push('meta l4proto tcp reject with tcp reset', 'reject');
  const chain = (name: string, hook: string, rules: readonly string[]): string =>
    [`  chain ${name} {`, `    ${hook}; policy accept;`, ...rules.map((rule) => `    ${rule}`), '  }'].join('\n');
  return `table inet ambit-egress {
}
delete table inet ambit-egress
table inet ambit-egress {
${chain('prerouting', 'type nat hook prerouting priority dstnat + 10', turned)}
${chain('output', 'type nat hook output priority -90', turned)}
${chain('forward', 'type filter hook forward priority filter', refused)}
${chain('refuse-own', 'type filter hook output priority filter', refused)}
}
`;
}

/** What stays in this namespace or on its links. */
const localCidrs = ['127.0.0.0/8', '224.0.0.0/4', '255.255.255.255/32'];
const localCidrs6 = ['::1/128', 'fe80::/10', 'ff00::/8'];

function listen(host: string, options: EgressOptions): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => accept(client, host, options));
  server.maxConnections = maxConnections;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(relayPort, host, () => {
      server.off('error', reject);
      server.on('error', (error) => options.log.warn('Egress listener failed', { error: messageOf(error) }));
      resolve(server);
    });
  });
}

/** A client that is refused hears it as a reset: its connection stood before the host was asked. */
function accept(client: Socket, own: string, { relayPath, log }: EgressOptions): void {
  client.on('error', () => {});
  const wanted = originalDestination(client);
  if (!wanted || wanted.address === own) return void client.resetAndDestroy();
  const relay = connect({ path: relayPath, allowHalfOpen: true });
  relay.setTimeout(answerTimeoutMs, () => relay.destroy());
  relay.on('error', () => client.resetAndDestroy());
  client.on('close', () => {
    if (!client.readableEnded) relay.destroy();
  });
  relay.write(`connect ${wanted.address} ${wanted.port}\n`);
  let held: Buffer = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    held = Buffer.concat([held, chunk]);
    const end = held.indexOf(0x0a);
    if (end < 0 && held.length <= maxAnswerBytes) return;
    relay.off('data', onData).pause().setTimeout(0);
    const answer = held.subarray(0, Math.max(0, end)).toString('latin1');
    if (answer !== 'ok') {
      log.debug('The host refused a connection', { address: wanted.address, port: wanted.port, answer });
      relay.destroy();
      client.resetAndDestroy();
      return;
    }
    if (end + 1 < held.length) relay.unshift(held.subarray(end + 1));
    relay.pipe(client);
    client.pipe(relay);
  };
  relay.on('data', onData);
  relay.on('close', () => {
    if (!relay.readableEnded) client.resetAndDestroy();
  });
}

/** Asks the host's resolvers through the relay; undefined when nobody answers. */
export function askHostResolver(relayPath: string, query: Uint8Array): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path: relayPath });
    const reader = new DnsStreamReader();
    socket.setTimeout(answerTimeoutMs, () => socket.destroy());
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      const [answer] = reader.push(chunk);
      if (!answer) return;
      resolve(answer);
      socket.destroy();
    });
    socket.on('close', () => resolve(undefined));
    socket.write(Buffer.concat([Buffer.from('dns\n'), frameDnsMessage(query)]));
  });
}
