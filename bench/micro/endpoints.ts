/** `node bench/micro/endpoints.ts`: nanoseconds of CPU of choosing an endpoint of a service of 10,000 pods, medians of several rounds. */
import { serviceKey } from '../../src/api/names.ts';
import type { MeshAddress } from '../../src/api/workload.ts';
import { planOutbound } from '../../src/decision/index.ts';
import { drawEndpoint } from '../../src/decision/draw.ts';
import { rankEndpoints } from '../../src/decision/ranked-endpoints.ts';
import { MeshState } from '../../src/mesh/index.ts';
import { defaultNetwork, meshService, meshWorkload } from '../../src/mesh/fixtures.ts';

const rounds = 15;
const podCount = 10_000;
const vip = '10.96.0.10';
const client = meshWorkload({
  name: 'client',
  addresses: ['10.0.0.1'],
  locality: { region: 'r0', zone: 'z0', subzone: '' },
});
const service = meshService({
  addresses: [{ network: defaultNetwork, ip: vip }],
  loadBalancing: { mode: 'failover', routingPreference: ['network', 'region', 'zone'], healthPolicy: 'only-healthy' },
});
const key = serviceKey(service.namespace, service.hostname);
const pod = (n: number): MeshAddress => ({
  kind: 'workload',
  workload: meshWorkload({
    name: `web-${n}`,
    addresses: [`10.${1 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`],
    locality: { region: `r${n % 2}`, zone: `z${n % 4}`, subzone: '' },
    services: new Map([[key, []]]),
  }),
});
const mesh = new MeshState();
mesh.applyAddresses({
  updated: [
    { kind: 'service', service },
    { kind: 'workload', workload: client },
    ...Array.from({ length: podCount }, (_, n) => pod(n)),
  ],
  removed: [],
});

const rankRequest = { mesh, service, servicePort: 80, client, clientFamilies: 1 };
const planRequest = {
  mesh,
  own: client,
  sourceIp: '10.0.0.1',
  destinationIp: vip,
  destinationPort: 80,
  random: Math.random,
  hbonePort: 15008,
  ownPorts: new Set([15001, 15006, 15008]),
};
const suspect = new Set([...mesh.endpoints(key).keys()].slice(0, 50));
const avoid = { tried: new Set<never>(), anySuspect: true, isSuspect: (uid: string) => suspect.has(uid as never) };

measure('draw from the kept list', 20_000, () => drawEndpoint(rankEndpoints(rankRequest), Math.random));
measure('draw with 50 endpoints that just failed', 20_000, () =>
  drawEndpoint(rankEndpoints(rankRequest), Math.random, avoid),
);
measure('plan a whole connection', 20_000, () => planOutbound(planRequest));
let turn = 0;
measure('the first draw after an endpoint changed', 20, () => {
  mesh.applyAddresses({ updated: [pod(turn++ % podCount)], removed: [] });
  return drawEndpoint(rankEndpoints(rankRequest), Math.random);
});

function measure(name: string, times: number, work: () => unknown): void {
  const samples: number[] = [];
  let sink = 0;
  for (let round = -3; round < rounds; round++) {
    const start = process.cpuUsage();
    for (let i = 0; i < times; i++) if (work() !== undefined) sink++;
    const { user, system } = process.cpuUsage(start);
    const each = ((user + system) * 1000) / times;
    if (round >= 0) samples.push(each);
  }
  const median = samples.toSorted((x, y) => x - y)[rounds >> 1] ?? Number.NaN;
  process.stdout.write(`${name}`.padEnd(48) + `${median.toFixed(0).padStart(9)} ns  (${sink})\n`);
}
