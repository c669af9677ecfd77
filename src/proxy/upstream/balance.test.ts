import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Backend, OutlierDetection } from '../../api/l7/index.ts';
import type { WorkloadUid } from '../../api/names.ts';
import type { Locality, MeshService, MeshWorkload } from '../../api/workload.ts';
import { HeaderList } from '../../http/header-list.ts';
import { seededRandom } from '../../decision/balance/fixtures.ts';
import { meshWorkload } from '../../mesh/fixtures.ts';
import { settled } from './fake-hosts.ts';
import { fakeUpstreams, type FakeUpstreams } from './fake-upstreams.ts';
import { applyMesh, endpoint, requestHead, web } from './upstream-fixtures.ts';
import type { UpstreamRequest } from './upstream.ts';

const at = (text: string): Locality => {
  const [region = '', zone = '', subzone = ''] = text.split('/');
  return { region, zone, subzone };
};
const a = endpoint('a', '10.0.0.1');
const b = endpoint('b', '10.0.0.2');
const c = endpoint('c', '10.0.0.3');

/** Sends one request, lets the host answer, and tells which one it was. */
async function ask({ send, hosts }: FakeUpstreams, more: Partial<UpstreamRequest> = {}, status = 200): Promise<string> {
  const heard = send(more);
  await settled();
  hosts.exchanges[0]?.answer(status);
  return heard.hosts.at(-1)?.workload?.name ?? heard.failure?.flag ?? '';
}

async function askOften(upstreams: FakeUpstreams, count: number, more?: Partial<UpstreamRequest>): Promise<string> {
  let names = '';
  for (let i = 0; i < count; i++) names += await ask(upstreams, more);
  return names;
}

describe('the choice of a host', () => {
  test('goes round', async () => {
    assert.equal(await askOften(fakeUpstreams({}, [web, a, b, c]), 6), 'abcabc');
  });

  test('goes by capacity as weight, and leaves out who wants nothing', async () => {
    const names = await askOften(fakeUpstreams({}, [web, { ...a, capacity: 3 }, b, { ...c, capacity: 0 }]), 8);
    assert.equal(names.replaceAll('b', '').length, 6);
    assert.ok(!names.includes('c'));
  });

  test('goes to who has less to do', async () => {
    let next = 0;
    const random = (): number => [0, 0.5, 0.9][next++ % 3] as number;
    const upstreams = fakeUpstreams({ loadBalancer: { kind: 'least-request' } }, [web, a, b], { random });
    const first = upstreams.send();
    const second = upstreams.send();
    await settled();
    assert.notEqual(first.hosts[0]?.workload?.name, second.hosts[0]?.workload?.name);
  });

  test('keeps to the members that the backend names', async () => {
    const upstreams = fakeUpstreams({ members: [{ workload: b.uid }] }, [web, a, b, c]);
    assert.equal(await askOften(upstreams, 3), 'bbb');
  });

  test('avoids the hosts that failed, unless nobody else is there', async () => {
    const upstreams = fakeUpstreams({}, [web, a, b, c]);
    assert.equal(await askOften(upstreams, 3, { avoid: new Set([a.uid, c.uid]) }), 'bbb');
    const all = await askOften(upstreams, 3, { avoid: new Set([a.uid, b.uid, c.uid]) });
    assert.equal(all.length, 3);
  });

  test('keeps to the host of the session, as long as it is healthy', async () => {
    const upstreams = fakeUpstreams({}, [web, a, b, c]);
    assert.equal(await askOften(upstreams, 3, { preferred: b.uid }), 'bbb');
    assert.equal((await ask(upstreams, { preferred: 'gone' as WorkloadUid })).length, 1);
    const again = await askOften(upstreams, 4, { preferred: b.uid, avoid: new Set([b.uid]) });
    assert.ok(!again.includes('b'), 'a retry goes elsewhere');
    applyMesh(upstreams.mesh, { ...b, status: 'unhealthy' });
    assert.ok(!(await askOften(upstreams, 4, { preferred: b.uid })).includes('b'));
  });

  test('leaves out hosts that are not ready, unless the Service wants them', async () => {
    const ready = fakeUpstreams({}, [web, a, { ...b, status: 'unhealthy' }]);
    assert.equal(await askOften(ready, 3), 'aaa');
    const loadBalancing = { routingPreference: [], mode: 'unspecified', healthPolicy: 'allow-all' } as const;
    const all = fakeUpstreams({}, [{ ...web, loadBalancing }, a, { ...b, status: 'unhealthy' }]);
    assert.equal(await askOften(all, 4), 'abab');
  });

  test('follows target ports, of the endpoint first', async () => {
    const own = new Map([
      [[...a.services.keys()][0] as never, [{ servicePort: 80, targetPort: 9999, appProtocol: 'unknown' as const }]],
    ]);
    const upstreams = fakeUpstreams({}, [web, { ...a, services: own }, b]);
    await askOften(upstreams, 2);
    assert.deepEqual(
      upstreams.hosts.dials.map(({ request }) => request.host.spec.port),
      [9999, 8080],
    );
  });

  test('gives new hosts a growing share while they warm up', async () => {
    const warmup = { durationMs: 60_000, minimumPercent: 10, aggression: 1 };
    const upstreams = fakeUpstreams({ loadBalancer: { kind: 'round-robin', warmup } }, [web, a]);
    await ask(upstreams);
    upstreams.clock.advance(60_000);
    applyMesh(upstreams.mesh, b);
    const share = async (): Promise<number> => (await askOften(upstreams, 110)).replaceAll('a', '').length;
    assert.ok((await share()) <= 12);
    upstreams.clock.advance(30_000);
    const half = await share();
    assert.ok(half > 30 && half < 45, String(half));
    upstreams.clock.advance(30_000);
    assert.equal(await share(), 55);
  });
});

describe('consistent hashing', () => {
  const hosts = Array.from({ length: 5 }, (_, i) => endpoint(String.fromCharCode(97 + i), `10.0.0.${i + 1}`));
  const table = { kind: 'maglev', tableSize: 251 } as const;
  const hashing = (on: Extract<Backend['loadBalancer'], { kind: 'consistent-hash' }>['on']): FakeUpstreams =>
    fakeUpstreams({ loadBalancer: { kind: 'consistent-hash', on, table } }, [web, ...hosts], { random: Math.random });
  const withHeader = (value: string): Partial<UpstreamRequest> => ({
    head: requestHead('/', { headers: new HeaderList(['x-user', value]) }),
  });

  test('sends the same value to the same host, and others elsewhere', async () => {
    const upstreams = hashing({ kind: 'header', name: 'x-user' });
    assert.match(await askOften(upstreams, 5, withHeader('ann')), /^(.)\1{4}$/);
    const seen = new Set<string>();
    for (let i = 0; i < 40; i++) seen.add(await ask(upstreams, withHeader(`user-${i}`)));
    assert.equal(seen.size, 5);
  });

  test('takes any host where the value is absent', async () => {
    const upstreams = hashing({ kind: 'header', name: 'x-user' });
    assert.ok(new Set(await askOften(upstreams, 40)).size > 2);
  });

  test('makes a cookie where it is absent, by which the client comes back', async () => {
    const upstreams = hashing({ kind: 'cookie', name: 'lb', path: '/shop', ttlSeconds: 60 });
    const heard = upstreams.send();
    await settled();
    upstreams.hosts.exchanges[0]?.answer();
    const cookie = heard.head?.headers.get('set-cookie') ?? '';
    assert.match(cookie, /^lb="[0-9a-f]{16}"; Max-Age=60; Path=\/shop; HttpOnly$/);
    const name = heard.hosts[0]?.workload?.name ?? '';
    const head = requestHead('/', { headers: new HeaderList(['cookie', cookie.split(';')[0] ?? '']) });
    assert.equal(await askOften(upstreams, 4, { head }), name.repeat(4));
    const again = upstreams.send({ head });
    await settled();
    upstreams.hosts.exchanges[0]?.answer();
    assert.equal(again.head?.headers.get('set-cookie'), undefined);
  });

  test('makes a cookie of the session without an age, and none where nobody asked for it', async () => {
    const session = hashing({ kind: 'cookie', name: 'lb', ttlSeconds: 0 });
    const heard = session.send();
    await settled();
    session.hosts.exchanges[0]?.answer();
    assert.match(heard.head?.headers.get('set-cookie') ?? '', /^lb="[0-9a-f]{16}"; HttpOnly$/);
    const none = hashing({ kind: 'cookie', name: 'lb' });
    const plain = none.send();
    await settled();
    none.hosts.exchanges[0]?.answer();
    assert.equal(plain.head?.headers.get('set-cookie'), undefined);
  });

  test('takes another host where the right one failed', async () => {
    const upstreams = hashing({ kind: 'header', name: 'x-user' });
    const name = await ask(upstreams, withHeader('ann'));
    const uid = hosts.find((host) => host.name === name)?.uid as WorkloadUid;
    const other = await askOften(upstreams, 3, { ...withHeader('ann'), avoid: new Set([uid]) });
    assert.match(other, /^(.)\1{2}$/);
    assert.ok(!other.includes(name));
  });
});

describe('localities', () => {
  const own = meshWorkload({ name: 'waypoint', locality: at('r1/z1') });
  const near = { ...a, locality: at('r1/z1') };
  const zone = { ...b, locality: at('r1/z2') };
  const far = { ...c, locality: at('r2/z1') };
  const outlierDetection: OutlierDetection = {
    consecutive5xx: 1,
    consecutiveGatewayErrors: 0,
    consecutiveLocalOriginFailures: 0,
    splitsLocalOrigin: false,
    intervalMs: 10_000,
    baseEjectionMs: 30_000,
    maxEjectionPercent: 100,
    minHealthPercent: 0,
  };
  const enabled = { enabled: true, distribute: [], failover: [], forced: false };
  const placed = (
    changes: Parameters<typeof fakeUpstreams>[0],
    service: MeshService = web,
    ...parts: MeshWorkload[]
  ): FakeUpstreams =>
    fakeUpstreams(changes, [service, ...(parts.length > 0 ? parts : [near, zone, far])], { own: () => own });

  test('near ones first where failures are noticed, and the next when they fail', async () => {
    const upstreams = placed({ locality: enabled, outlierDetection });
    assert.equal(await askOften(upstreams, 3), 'aaa');
    await ask(upstreams, {}, 500);
    assert.equal(await askOften(upstreams, 3), 'bbb');
    await ask(upstreams, {}, 500);
    assert.equal(await askOften(upstreams, 3), 'ccc');
  });

  test('play no part where nobody would notice failures, or nobody asked', async () => {
    assert.equal(await askOften(placed({ locality: enabled }), 3), 'abc');
    assert.equal(await askOften(placed({ outlierDetection }), 3), 'abc');
  });

  test('fail over to the region that is named', async () => {
    const named = { ...c, locality: at('r3/z1') };
    const upstreams = placed(
      { locality: { ...enabled, failover: [{ from: 'r1', to: 'r3' }] }, outlierDetection },
      web,
      { ...b, locality: at('r2/z1') },
      named,
    );
    assert.equal(await askOften(upstreams, 3), 'ccc');
  });

  test('get shares where they are distributed', async () => {
    const to = [
      { locality: 'r1/z1/*', weight: 70 },
      { locality: 'r1/z2/*', weight: 30 },
    ];
    const upstreams = fakeUpstreams(
      { locality: { ...enabled, distribute: [{ from: 'r1/*', to }] } },
      [web, near, zone, far],
      { own: () => own, random: seededRandom() },
    );
    const names = await askOften(upstreams, 200);
    const others = names.replaceAll('a', '').length;
    assert.ok(others > 40 && others < 80, String(others));
    assert.ok(!names.includes('c'));
  });

  test('go by what is said to be near, label by label', async () => {
    const failoverPriority = [
      { kind: 'label', members: [far.uid, near.uid] },
      { kind: 'label', members: [far.uid] },
    ] as const;
    const upstreams = placed({ locality: { ...enabled, failoverPriority }, outlierDetection });
    assert.equal(await askOften(upstreams, 3), 'ccc');
    await ask(upstreams, {}, 500);
    assert.equal(await askOften(upstreams, 3), 'aaa');
  });

  test('go by the preference of the Service where that is asked for', async () => {
    const loadBalancing = {
      routingPreference: ['network', 'region', 'zone'],
      mode: 'failover',
      healthPolicy: 'only-healthy',
    } as const;
    const upstreams = placed({ locality: { ...enabled, forced: true } }, { ...web, loadBalancing });
    assert.equal(await askOften(upstreams, 3), 'aaa');
    applyMesh(upstreams.mesh, { ...near, status: 'unhealthy' });
    assert.equal(await askOften(upstreams, 3), 'bbb');
  });

  test('are left where a retry shall go to another, until all were tried', async () => {
    const upstreams = placed({ locality: enabled, outlierDetection }, web, near, { ...b, locality: at('r1/z1') }, far);
    assert.equal(await askOften(upstreams, 2, { avoidLocalitiesOf: new Set([a.uid]) }), 'cc');
    const all = await askOften(upstreams, 2, { avoidLocalitiesOf: new Set([a.uid, c.uid]) });
    assert.ok(!all.includes('c'));
  });

  test('are strict where the Service says so', async () => {
    const loadBalancing = {
      routingPreference: ['region', 'zone'],
      mode: 'strict',
      healthPolicy: 'only-healthy',
    } as const;
    const upstreams = placed({}, { ...web, loadBalancing }, zone, far);
    assert.equal(await ask(upstreams), 'UH');
  });
});

describe('outlier detection', () => {
  const outlierDetection: OutlierDetection = {
    consecutive5xx: 2,
    consecutiveGatewayErrors: 0,
    consecutiveLocalOriginFailures: 0,
    splitsLocalOrigin: false,
    intervalMs: 10_000,
    baseEjectionMs: 30_000,
    maxEjectionPercent: 50,
    minHealthPercent: 0,
  };
  const watched = (changes: Partial<OutlierDetection> = {}, parts = [a, b]): FakeUpstreams =>
    fakeUpstreams({ outlierDetection: { ...outlierDetection, ...changes } }, [web, ...parts]);
  const failTimes = async (upstreams: FakeUpstreams, name: string, count: number): Promise<void> => {
    for (let failed = 0; failed < count;) {
      const heard = upstreams.send();
      await settled();
      const isIt = heard.hosts.at(-1)?.workload?.name === name;
      upstreams.hosts.exchanges[0]?.answer(isIt ? 503 : 200);
      if (isIt) failed++;
    }
  };
  const healthOf = ({ upstreams }: FakeUpstreams): string[] =>
    upstreams.describe()[0]?.hosts.map(({ health, ejections }) => `${health} ${ejections}`) ?? [];

  test('takes a host out after failures in a row, and back when its time is over', async () => {
    const upstreams = watched();
    await failTimes(upstreams, 'a', 2);
    assert.deepEqual(healthOf(upstreams), ['ejected 1', 'healthy 0']);
    assert.equal(await askOften(upstreams, 4), 'bbbb');
    upstreams.clock.advance(30_000);
    assert.deepEqual(healthOf(upstreams), ['healthy 1', 'healthy 0']);
    assert.ok((await askOften(upstreams, 4)).includes('a'));
  });

  test('takes it out for longer when it fails again, and no timer stays when all is well', async () => {
    const upstreams = watched();
    await failTimes(upstreams, 'a', 2);
    upstreams.clock.advance(30_000);
    await failTimes(upstreams, 'a', 2);
    upstreams.clock.advance(59_000);
    assert.deepEqual(healthOf(upstreams), ['ejected 2', 'healthy 0']);
    upstreams.clock.advance(1000);
    assert.deepEqual(healthOf(upstreams), ['healthy 2', 'healthy 0']);
    upstreams.clock.advance(60_000);
    // What is left is that of idle connections.
    assert.equal(upstreams.clock.pending, 1);
  });

  test('never takes out the last one, nor more than it may', async () => {
    const alone = watched({}, [a]);
    await failTimes(alone, 'a', 5);
    assert.deepEqual(healthOf(alone), ['healthy 0']);
    const three = watched({ maxEjectionPercent: 10 }, [a, b, c]);
    await failTimes(three, 'a', 2);
    await failTimes(three, 'b', 3);
    assert.deepEqual(healthOf(three), ['ejected 1', 'healthy 0', 'healthy 0']);
  });

  test('goes by the status of gRPC, in the head or at the end', async () => {
    const upstreams = watched();
    const headers = { 'content-type': 'application/grpc' };
    for (let failed = 0; failed < 2;) {
      const heard = upstreams.send();
      await settled();
      const [exchange] = upstreams.hosts.exchanges;
      if (heard.hosts.at(-1)?.workload?.name !== 'a') exchange?.answer(200, { ...headers, 'grpc-status': '0' });
      else if (failed++ === 0) exchange?.answer(200, { ...headers, 'grpc-status': '14' });
      else {
        exchange?.begin(200, headers);
        exchange?.finish({ 'grpc-status': '14' });
      }
    }
    assert.deepEqual(healthOf(upstreams), ['ejected 1', 'healthy 0']);
  });

  test('counts hosts that cannot be reached, or take too long, and nobody who was given up', async () => {
    const unreachable = watched();
    unreachable.hosts.isOpen = false;
    for (let i = 0; i < 4; i++) unreachable.send();
    for (const dial of unreachable.hosts.dials)
      await (dial.request.host.key.includes('/a|') ? dial.fail(new Error('refused')) : dial.connect());
    assert.deepEqual(healthOf(unreachable), ['ejected 1', 'healthy 0']);

    const slow = watched();
    for (const reason of ['timeout', 'timeout', 'timeout', undefined, undefined] as const) {
      const heard = slow.send({ preferred: a.uid });
      await settled();
      heard.exchange.reset(reason);
      await settled();
    }
    assert.deepEqual(healthOf(slow), ['ejected 1', 'healthy 0']);
    const patient = watched();
    for (let i = 0; i < 5; i++) {
      const heard = patient.send({ preferred: a.uid });
      await settled();
      heard.exchange.reset();
      await settled();
    }
    assert.deepEqual(healthOf(patient), ['healthy 0', 'healthy 0']);
  });

  test('panics below its threshold: all hosts are used, whatever their health', async () => {
    const upstreams = watched({ maxEjectionPercent: 100, minHealthPercent: 60 });
    await failTimes(upstreams, 'a', 2);
    assert.deepEqual(healthOf(upstreams), ['ejected 1', 'healthy 0']);
    assert.ok((await askOften(upstreams, 4)).includes('a'));
  });

  test('that is configured away takes everybody back', async () => {
    const upstreams = watched();
    await failTimes(upstreams, 'a', 2);
    upstreams.reconfigure({});
    assert.deepEqual(healthOf(upstreams), ['healthy 1', 'healthy 0']);
  });
});

describe('passthrough', () => {
  const client = (address: string, port: number): Partial<UpstreamRequest> => ({
    client: { address: '10.244.0.9', port: 1, destination: { address, port } },
  });

  test('goes where the client asked for, by the mesh where it is known', async () => {
    const upstreams = fakeUpstreams({ loadBalancer: { kind: 'passthrough' } }, [web, a], {
      own: () => meshWorkload({ name: 'waypoint' }),
    });
    const known = upstreams.send(client('10.0.0.1', 1234));
    const unknown = upstreams.send(client('192.0.2.7', 99));
    await settled();
    assert.deepEqual([known.hosts[0]?.workload?.name, known.hosts[0]?.port], ['a', 1234]);
    assert.deepEqual([unknown.hosts[0]?.address, unknown.hosts[0]?.port], ['192.0.2.7', 99]);
    for (const exchange of upstreams.hosts.exchanges) exchange.answer();
    assert.equal(upstreams.upstreams.describe()[0]?.hosts.length, 3);
    for (const connection of upstreams.hosts.connections) connection.close();
    await settled();
    assert.equal(upstreams.upstreams.describe()[0]?.hosts.length, 1);
  });

  test('of raw bytes keeps nothing of addresses that nobody is connected to any more', async () => {
    const { upstreams, hosts } = fakeUpstreams({ loadBalancer: { kind: 'passthrough' } }, [web, a]);
    hosts.isOpen = false;
    const asked = { address: '10.244.0.9', port: 1, destination: { address: '192.0.2.7', port: 99 } };
    const failed = assert.rejects(upstreams.connect('web', asked, new AbortController().signal));
    await settled();
    assert.equal(upstreams.describe()[0]?.hosts.length, 2);
    for (const dial of hosts.dials) await dial.fail(new Error('refused'));
    await failed;
    assert.equal(upstreams.describe()[0]?.hosts.length, 1);
  });

  test('to the address of the Service itself goes to its endpoints', async () => {
    const upstreams = fakeUpstreams({ loadBalancer: { kind: 'passthrough' } }, [web, a, b]);
    assert.equal(await askOften(upstreams, 2, client('10.96.0.10', 80)), 'ab');
  });
});
