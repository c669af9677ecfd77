/** `node bench/micro/upstream.ts`: CPU of a proxy's upstream, without sockets: a request on an idle connection, and a change among 10,000 hosts. */
import type { LoadBalancer } from '../../src/api/l7/index.ts';
import { meshWorkload } from '../../src/mesh/fixtures.ts';
import { settled } from '../../src/proxy/upstream/fake-hosts.ts';
import { fakeUpstreams, type FakeUpstreams } from '../../src/proxy/upstream/fake-upstreams.ts';
import { applyMesh, endpoint, requestHead, upstreamRequest, web } from '../../src/proxy/upstream/upstream-fixtures.ts';
import type { UpstreamReader } from '../../src/proxy/upstream/upstream.ts';

const rounds = 9;
const balancers: Record<string, LoadBalancer> = {
  'round robin': { kind: 'round-robin' },
  'least request': { kind: 'least-request' },
  'ring hash': { kind: 'consistent-hash', on: { kind: 'source-ip' }, table: { kind: 'ring', minimumSize: 1024 } },
  maglev: { kind: 'consistent-hash', on: { kind: 'source-ip' }, table: { kind: 'maglev', tableSize: 65_537 } },
};
const own = meshWorkload({ name: 'waypoint', locality: { region: 'r', zone: 'z1', subzone: '' } });
const request = upstreamRequest({ head: requestHead() });
const reader: UpstreamReader = {
  onHost() {},
  onInformational() {},
  onResponse() {},
  onData() {},
  onEnd() {},
  onDrain() {},
  onClose() {},
};

for (const [name, loadBalancer] of Object.entries(balancers)) {
  const few = openOn(3, loadBalancer);
  for (let i = 0; i < 64; i++) few.upstreams.open('web', request, reader);
  await settled();
  for (const exchange of few.hosts.exchanges) exchange.answer();
  measure(`request on an idle connection, ${name}`, 20_000, () => {
    few.upstreams.open('web', request, reader);
    for (const connection of few.hosts.connections) for (const exchange of connection.exchanges) exchange.answer();
  });
  few.upstreams.close();
  const many = openOn(10_000, loadBalancer);
  let change = 0;
  measure(`first request after a change of 1 in 10,000 hosts, ${name}`, 20, () => {
    applyMesh(many.mesh, pod(change % 10_000, `v${change++}`));
    many.upstreams.open('web', request, reader).reset();
  });
  many.upstreams.close();
}

function openOn(count: number, loadBalancer: LoadBalancer): FakeUpstreams {
  const locality = { enabled: true, forced: true, distribute: [], failover: [] };
  const pods = Array.from({ length: count }, (_, i) => pod(i, 'v'));
  return fakeUpstreams({ loadBalancer, locality }, [web, ...pods], { own: () => own, random: Math.random });
}

function pod(i: number, canonicalRevision: string): ReturnType<typeof endpoint> {
  const locality = { region: 'r', zone: `z${i % 3}`, subzone: '' };
  return endpoint(`web-${i}`, `10.0.${i >> 8}.${i & 255}`, { canonicalRevision, locality });
}

function measure(name: string, count: number, run: () => void): void {
  const results: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const start = process.cpuUsage();
    for (let i = 0; i < count; i++) run();
    const { user, system } = process.cpuUsage(start);
    results.push(((user + system) * 1000) / count);
  }
  const median = results.toSorted((a, b) => a - b)[rounds >> 1] ?? 0;
  console.log(`${name}: ${median < 100_000 ? `${Math.round(median)} ns` : `${(median / 1e6).toFixed(2)} ms`}`);
}
