/** `node bench/micro/recheck.ts [CONNECTIONS]`: a policy push over 100,000 live inbound connections; how long the loop was away at most. */
import { setTimeout as wait } from 'node:timers/promises';
import { policyKey, type SpiffeId } from '../../src/api/names.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { meshWorkload } from '../../src/mesh/fixtures.ts';
import { MeshState } from '../../src/mesh/index.ts';
import { emptyMatch, type Authorization } from '../../src/policy/model.ts';
import { MetricsRegistry, openAccessLog, registerTcpMetrics } from '../../src/telemetry/index.ts';
import { createAuthorizer } from '../../src/ztunnel/data/authorize.ts';
import { ConnectionRegistry } from '../../src/ztunnel/data/connections.ts';

const count = Number(process.argv[2] ?? 100_000);
const podCount = 100;
const log = silentLog();
const clock = systemClock;
const mesh = new MeshState();
const accessLog = openAccessLog({ format: 'text', nowMs: () => Date.now(), write: (_, done) => done() });
const tcpMetrics = registerTcpMetrics(new MetricsRegistry({ clock, log }));
const connections = new ConnectionRegistry({ clock, accessLog, tcpMetrics });
createAuthorizer({ mesh, connections, clock, log });

const pods = Array.from({ length: podCount }, (_, i) =>
  meshWorkload({
    name: `pod-${i}`,
    addresses: [`10.0.0.${i + 1}`],
    authorizationPolicies: [policyKey('shop', 'callers'), policyKey('shop', 'nobody')],
  }),
);
mesh.applyAddresses({ updated: pods.map((workload) => ({ kind: 'workload', workload })), removed: [] });
push(0);
for (let i = 0; i < count; i++) {
  const own = pods[i % podCount];
  if (!own) continue;
  const connection = connections.open({
    podUid: own.name,
    direction: 'inbound',
    src: `10.1.0.1:${i}`,
    originalDst: '10.0.0.1:80',
  });
  const source = {
    id: 'spiffe://cluster.local/ns/front/sa/caller' as SpiffeId,
    namespace: 'front',
    serviceAccount: 'caller',
  };
  connection.authorize({
    own,
    facts: { sourceIp: '10.1.0.1', source, destinationIp: own.addresses[0] ?? '', destinationPort: 80 },
  });
}

let longestMs = 0;
let longestCpuMs = 0;
for (let round = 1; round <= 6; round++) {
  await wait(200);
  let last = performance.now();
  let lastCpu = cpuMs();
  let running = true;
  const turn = (): void => {
    const now = performance.now();
    longestMs = Math.max(longestMs, now - last);
    last = now;
    const cpu = cpuMs();
    longestCpuMs = Math.max(longestCpuMs, cpu - lastCpu);
    lastCpu = cpu;
    if (running) setImmediate(turn);
  };
  longestMs = 0;
  longestCpuMs = 0;
  setImmediate(turn);
  const started = performance.now();
  push(round);
  const pushMs = performance.now() - started;
  await wait(1500);
  running = false;
  process.stdout.write(
    `round ${round}: ${count.toLocaleString('en')} connections, the push itself ${pushMs.toFixed(2)} ms, ` +
      `longest turn ${longestMs.toFixed(2)} ms, of which on the processor ${longestCpuMs.toFixed(2)} ms\n`,
  );
}
process.exit(0);

/** Of this thread: on a busy machine a turn lasts longer than it works. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Two ALLOW policies, the matching one last; another port each time, so that nothing is as it was. */
function push(round: number): void {
  const allow = (name: string, namespace: string): Authorization => ({
    name,
    namespace: 'shop',
    scope: 'workload-selector',
    action: 'allow',
    dryRun: false,
    rules: [
      {
        clauses: [
          {
            matches: [
              { ...emptyMatch, namespaces: [{ kind: 'exact', value: namespace }], notDestinationPorts: [1000 + round] },
            ],
          },
        ],
      },
    ],
  });
  mesh.applyAuthorizations({ updated: [allow('nobody', 'elsewhere'), allow('callers', 'front')], removed: [] });
}
