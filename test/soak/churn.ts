/** What a soak does, in a network namespace of its own: `churn.ts MINUTES`. */
import { once } from 'node:events';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { policyKey, spiffeId } from '../../src/api/names.ts';
import type { MeshWorkload } from '../../src/api/workload.ts';
import { meshWorkload } from '../../src/mesh/fixtures.ts';
import { checkPrivileges } from '../../src/net/index.ts';
import { createTestAuthority, type TestAuthority } from '../support/certificates.ts';
import { exchange } from '../integration/ztunnel-load.ts';
import { startTestDataPart, type TestDataPart } from '../integration/ztunnel-fixture.ts';
import { testPolicy } from '../integration/ztunnel-policies.ts';
import { flatnessProblems, formatSample, takeSample, type Sample } from './samples.ts';

const minutes = Number(process.argv[2]);
const sampleEveryMs = Math.min(10_000, (minutes * 60_000) / 12);
const serverIp = '127.0.90.1';
const podCount = 12;
const failures: string[] = [];
const counts = { exchanges: 0, aborted: 0, refused: 0, pods: 0, policies: 0, certificates: 0 };

const ipOf = (index: number): string => `127.0.91.${index + 1}`;
const at = { outboundPort: 15001, inboundPort: 15008, plaintextPort: 15006 };

class World {
  readonly authority: TestAuthority;
  readonly client: TestDataPart;
  readonly server: TestDataPart;
  readonly application: Server;
  /** Pods that are served now. Those with an odd index are the ones that a policy refuses when it is there. */
  readonly served = new Set<number>();
  refusing = false;

  constructor(authority: TestAuthority, application: Server) {
    this.authority = authority;
    this.application = application;
    this.client = startTestDataPart(authority);
    this.server = startTestDataPart(authority);
  }

  async start(): Promise<void> {
    const policy = policyKey('shop', 'no-odd');
    const web = meshWorkload({
      name: 'web',
      serviceAccount: 'web',
      addresses: [serverIp],
      authorizationPolicies: [policy],
    });
    await this.#setPolicy(false);
    for (const part of [this.client, this.server])
      part.setAddresses(web, ...Array.from({ length: podCount }, (_, i) => workload(i)));
    const nowhere = { address: serverIp, port: 1 };
    await this.server.serve({
      pod: { uid: 'web-uid', name: 'web', namespace: 'shop', serviceAccount: 'web' },
      listenAt: { ...at, host: serverIp, originalDestination: { outbound: nowhere, plaintext: nowhere } },
    });
    for (let i = 0; i < podCount; i++) await this.serve(i);
  }

  async serve(index: number): Promise<void> {
    const name = nameOf(index);
    const { port } = this.application.address() as AddressInfo;
    await this.client.serve({
      pod: { uid: name, name, namespace: namespaceOf(index), serviceAccount: name },
      listenAt: {
        ...at,
        host: ipOf(index),
        originalDestination: { outbound: { address: serverIp, port }, plaintext: { address: serverIp, port: 1 } },
      },
    });
    this.served.add(index);
    counts.pods++;
  }

  async remove(index: number): Promise<void> {
    this.served.delete(index);
    this.client.send({ kind: 'remove-pod', uid: nameOf(index) });
    await this.client.applied();
  }

  async togglePolicy(): Promise<void> {
    await this.#setPolicy(!this.refusing);
  }

  async rotate(): Promise<void> {
    const identities = [spiffeId('cluster.local', 'shop', 'web'), ...[...this.served].map(identityOf)];
    for (const identity of identities) {
      const certificate = await this.authority.certificate(identity);
      for (const part of [this.client, this.server]) part.send({ kind: 'certificate', identity, certificate });
      counts.certificates++;
    }
  }

  dial(index: number): Socket {
    const socket = net.connect({ host: ipOf(index), port: 15001, allowHalfOpen: true });
    return socket.on('error', () => {});
  }

  async #setPolicy(refusing: boolean): Promise<void> {
    // Present in both states, so that nobody waits for it.
    const namespace = refusing ? 'odd' : 'nobody';
    this.server.setPolicies([
      testPolicy(
        'no-odd',
        'deny',
        { namespaces: [{ kind: 'exact', value: namespace }] },
        { scope: 'workload-selector' },
      ),
    ]);
    await this.server.applied();
    this.refusing = refusing;
    counts.policies++;
  }
}

function nameOf(index: number): string {
  return `pod-${index}`;
}

function namespaceOf(index: number): string {
  return index % 2 === 1 ? 'odd' : 'even';
}

function identityOf(index: number): ReturnType<typeof spiffeId> {
  return spiffeId('cluster.local', namespaceOf(index), nameOf(index));
}

function workload(index: number): MeshWorkload {
  const name = nameOf(index);
  return meshWorkload({ name, namespace: namespaceOf(index), serviceAccount: name, addresses: [ipOf(index)] });
}

let stopping = false;

/** Connections of pods that stay, one after the other; what must be whole is whole, and some are given up halfway. */
async function keepExchanging(world: World, lane: number): Promise<void> {
  for (let turn = 0; !stopping; turn++) {
    // The last four pods come and go: others use them.
    const index = ((lane + turn) % ((podCount - 4) / 2)) * 2;
    const socket = world.dial(index);
    if (turn % 7 === 6) {
      socket.write(Buffer.alloc(20_000));
      await wait(turn % 20);
      socket.resetAndDestroy();
      counts.aborted++;
      continue;
    }
    try {
      await exchange(socket, 1 + ((turn * 7919) % 200_000), lane * 1000 + turn);
      counts.exchanges++;
    } catch (error) {
      failures.push(String(error));
    }
  }
}

/** Connections that stay open through every change, and are refused and cut by none. */
async function keepTalking(world: World, index: number): Promise<void> {
  const socket = world.dial(index);
  for (let turn = 0; !stopping; turn++) {
    socket.write(`turn ${turn}`);
    const settled = new AbortController();
    const { signal } = settled;
    const outcome = await Promise.race([
      once(socket, 'data', { signal }).then(
        ([data]) => String(data),
        () => 'closed',
      ),
      once(socket, 'close', { signal }).then(
        () => 'closed',
        () => 'closed',
      ),
    ]).catch(String);
    settled.abort();
    if (outcome !== `turn ${turn}`)
      return void failures.push(`a live connection of ${nameOf(index)} said "${outcome}"`);
    await wait(200);
  }
  socket.destroy();
}

async function keepChangingPolicies(world: World): Promise<void> {
  while (!stopping) {
    await world.togglePolicy();
    const index = 1 + 2 * Math.floor(Math.random() * ((podCount - 4) / 2));
    const problem = await exchange(world.dial(index), 1000, index).then(
      () => undefined,
      (error: unknown) => String(error),
    );
    const refused = problem !== undefined;
    if (refused !== world.refusing) {
      const lines = [...world.client.log, ...world.server.log].filter((line) => line.includes(`"${nameOf(index)}"`));
      failures.push(
        `refused is ${refused} (${problem}) where the policy says ${world.refusing}: ${lines.slice(-4).join(' // ')}`,
      );
    }
    counts.refused += refused ? 1 : 0;
    await wait(300);
  }
}

async function keepChangingPods(world: World): Promise<void> {
  for (let turn = 0; !stopping; turn++) {
    const index = podCount - 4 + (turn % 4);
    const busy = Array.from({ length: 5 }, () => world.dial(index));
    for (const socket of busy) socket.write('x');
    await wait(100);
    await world.remove(index);
    for (const socket of busy) socket.destroy();
    await world.serve(index);
    await wait(200);
  }
}

async function keepRotating(world: World): Promise<void> {
  while (!stopping) {
    await wait(2000);
    await world.rotate();
  }
}

await checkPrivileges();
const open = new Set<Socket>();
const application = net.createServer({ allowHalfOpen: true }, (socket) => {
  open.add(socket);
  socket.on('error', () => {}).on('close', () => open.delete(socket));
  socket.pipe(socket);
});
application.listen({ host: serverIp, port: 0, backlog: 4096 });
await once(application, 'listening');
const world = new World(await createTestAuthority(), application);
await world.start();
const work = [
  ...Array.from({ length: 8 }, (_, lane) => keepExchanging(world, lane)),
  ...[0, 2, 4].map((index) => keepTalking(world, index)),
  keepChangingPolicies(world),
  keepChangingPods(world),
  keepRotating(world),
];
const samples: Sample[] = [];
const end = performance.now() + minutes * 60_000;
while (performance.now() < end && failures.length === 0) {
  await wait(sampleEveryMs);
  // The fixture keeps every line for its tests.
  for (const part of [world.client, world.server]) part.log.length = 0;
  await Promise.all([world.client.metrics(), world.server.metrics()]);
  const sample = takeSample();
  samples.push(sample);
  process.stdout.write(`${formatSample(sample)}  ${JSON.stringify(counts)}\n`);
}
stopping = true;
await Promise.all(work);
const problems = [...failures.slice(0, 20), ...flatnessProblems(samples)];
for (const problem of problems) process.stdout.write(`FAILED: ${problem}\n`);
process.stdout.write(problems.length === 0 ? 'Flat, and every response was right.\n' : '');
process.exit(problems.length === 0 ? 0 : 1);
