/** The DNS proxy of a pod: real sockets in the pod's namespace, redirected queries of dig, name servers in another. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { decode, encode, type Packet, type RecordType } from 'dns-packet';
import { serviceKey } from '../../src/api/names.ts';
import type { MeshAddress, MeshService, MeshWorkload } from '../../src/api/workload.ts';
import { systemClock, type Clock } from '../../src/lib/clock.ts';
import { openLog } from '../../src/lib/log.ts';
import { defaultNetwork, meshService, meshWorkload } from '../../src/mesh/fixtures.ts';
import { MeshState } from '../../src/mesh/index.ts';
import {
  checkPrivileges,
  closeNetns,
  connectDatagramSocket,
  dial,
  DnsStreamReader,
  frameDnsMessage,
  openNetns,
} from '../../src/net/index.ts';
import { MetricsRegistry, writeSnapshot } from '../../src/telemetry/index.ts';
import { dnsListenerNames, openDnsListener } from '../../src/ztunnel/dns/dns-listeners.ts';
import { shareDns } from '../../src/ztunnel/dns/dns-shared.ts';
import { PodDns } from '../../src/ztunnel/dns/pod-dns.ts';
import type { PodToServe } from '../../src/ztunnel/messages.ts';
import { proxyMark } from '../../src/ztunnel/ports.ts';
import { answerWith, reply, startTestNameServer, type Answering, type TestNameServer } from './dns-server-fixture.ts';
import { joinPod, openTestNamespace, type TestNamespace } from './net-namespaces.ts';

const podIp = '10.81.1.2';
const first = '10.81.0.53';
const second = '10.81.0.54';
const sixth = 'fd82::53';
const nameservers = [first, second, sixth];

/** As the node agent makes them; the zone keeps our queries apart from those that were redirected. */
const rules = `table inet dns-test {
  chain raw-out { type filter hook output priority raw;
    udp dport 53 meta mark ${proxyMark} ct zone set 1
  }
  chain raw-in { type filter hook prerouting priority raw;
    iifname != "lo" udp sport 53 ct zone set 1
  }
  chain out { type nat hook output priority -100;
    meta mark ${proxyMark} accept
    udp dport 53 redirect to :ip daddr map { ${first} : 15053, ${second} : 15054 }
    tcp dport 53 redirect to :ip daddr map { ${first} : 15053, ${second} : 15054 }
    udp dport 53 redirect to :ip6 daddr map { ${sixth} : 15055 }
    tcp dport 53 redirect to :ip6 daddr map { ${sixth} : 15055 }
  }
}
`;

const dbKey = serviceKey('shop', 'db.shop.svc.cluster.local');
const own = meshWorkload({ name: 'app', namespace: 'front', canonicalName: 'app', canonicalRevision: 'v1' });
const parts: (MeshWorkload | MeshService)[] = [
  meshService({
    addresses: [
      { network: defaultNetwork, ip: '10.96.0.5' },
      { network: defaultNetwork, ip: 'fd96::5' },
    ],
  }),
  meshService({ name: 'db' }),
  ...Array.from({ length: 60 }, (_, i) =>
    meshWorkload({
      name: `db-${i}`,
      workloadName: 'db',
      addresses: [`10.81.2.${i + 1}`],
      services: new Map([[dbKey, []]]),
    }),
  ),
  meshService({ name: 'solo', ipFamilies: 'ipv4' }),
  meshWorkload({
    name: 'solo-0',
    workloadName: 'solo',
    addresses: ['10.81.3.1', 'fd81:3::1'],
    services: new Map([[serviceKey('shop', 'solo.shop.svc.cluster.local'), []]]),
  }),
  meshService({
    name: 'api',
    hostname: 'api.example.com',
    addresses: [{ network: defaultNetwork, ip: '240.240.0.1' }],
  }),
];

const queryFor = (name: string, type: RecordType = 'A', more: Partial<Packet> = {}): Buffer =>
  encode({ type: 'query', id: 4711, flags: 0x100, questions: [{ name, type }], ...more });
const rcodeOf = (packet: object): unknown => ('rcode' in packet ? packet.rcode : undefined);

describe('the DNS proxy of a pod', { timeout: 160_000 }, () => {
  let node: TestNamespace;
  let pod: TestNamespace;
  let podNetns = -1;
  let nodeNetns = -1;
  const mesh = new MeshState();
  const registry = new MetricsRegistry({ clock: systemClock, log: openLog({ scope: 'test', level: 'silent' }) });
  const logged: string[] = [];
  const ended = new AbortController();
  const servers: TestNameServer[] = [];
  const answers = new Map<string, Answering>();
  let proxy: PodDns;
  let target: PodToServe;
  /** The proxy's timers begin when this is settled. */
  let timersBegin: Promise<void> = Promise.resolve();
  const clock: Clock = {
    nowMs: () => systemClock.nowMs(),
    after(delayMs, act) {
      const ending = new AbortController();
      void timersBegin.then(() => {
        if (!ending.signal.aborted) ending.signal.addEventListener('abort', systemClock.after(delayMs, act));
      });
      return () => ending.abort();
    },
  };
  const shared = shareDns({ clusterDomain: 'cluster.local' }, { metrics: registry, clock: systemClock });

  before(async () => {
    await checkPrivileges();
    [node, pod] = await Promise.all([openTestNamespace(), openTestNamespace()]);
    await joinPod(node, pod, podIp, '10.81.1.1', 'pod');
    await node.exec(
      'sh',
      '-c',
      [
        `ip addr add ${first}/32 dev lo`,
        `ip addr add ${second}/32 dev lo`,
        `ip addr add ${sixth}/128 dev lo nodad`,
        'ip addr add fd81::1/64 dev pod nodad',
      ].join('; '),
    );
    await pod.exec('sh', '-c', 'ip addr add fd81::2/64 dev eth0 nodad; ip route add default via fd81::1');
    podNetns = openNetns(pod.path);
    nodeNetns = openNetns(node.path);
    await pod.exec('nft', rules);
    for (const host of nameservers) {
      const answer: Answering = (query) => (answers.get(host) ?? answerWith('192.0.2.1'))(query);
      servers.push(await startTestNameServer({ netns: nodeNetns, host, answer }));
    }
    target = {
      pod: {
        uid: 'app-uid',
        name: 'app',
        namespace: 'front',
        serviceAccount: 'default',
        resolver: { nameservers, search: ['front.svc.cluster.local', 'svc.cluster.local', 'cluster.local'], ndots: 5 },
      },
      netns: podNetns,
    };
    proxy = await startProxy();
    tell(own, ...parts);
  });

  beforeEach(() => {
    answers.clear();
    for (const { queries } of servers) queries.length = 0;
    logged.length = 0;
  });

  after(async () => {
    ended.abort();
    proxy.close();
    for (const server of servers) server.close();
    closeNetns(podNetns);
    closeNetns(nodeNetns);
    await Promise.all([pod.close(), node.close()]);
  });

  function tell(...updated: (MeshWorkload | MeshService)[]): void {
    const addresses = updated.map((part): MeshAddress =>
      'uid' in part ? { kind: 'workload', workload: part } : { kind: 'service', service: part },
    );
    mesh.applyAddresses({ updated: addresses, removed: [] });
  }

  async function startProxy(): Promise<PodDns> {
    const listeners: Record<string, number> = {};
    for (const name of dnsListenerNames(nameservers.length)) {
      const fd = openDnsListener(name, { netns: podNetns, mark: proxyMark });
      if (fd !== undefined) listeners[name] = fd;
    }
    const log = openLog({ scope: 'data', level: 'debug', write: (line) => void logged.push(line) });
    const started = new PodDns({ target, mesh, clock, log, random: Math.random, ended: ended.signal }, shared);
    await started.start(listeners);
    return started;
  }

  /** What `dig` in the pod prints, one answer a line. */
  async function dig(...args: string[]): Promise<string[]> {
    const out = await pod.exec('dig', '+short', '+tries=1', '+timeout=6', ...args);
    return out
      .trim()
      .split('\n')
      .filter((line) => line !== '');
  }

  const received = (): [string, string, string | undefined][] =>
    servers.flatMap(({ queries }, i) =>
      queries.map(({ protocol, packet }): [string, string, string | undefined] => [
        nameservers[i] ?? '',
        protocol,
        packet.questions?.[0]?.name,
      ]),
    );

  test('answers for Services, pods of headless ones and hosts outside, over UDP and TCP, in both families', async () => {
    for (const server of nameservers) {
      for (const over of ['+notcp', '+tcp']) {
        assert.deepEqual(await dig(`@${server}`, over, 'web.shop.svc.cluster.local'), ['10.96.0.5']);
        assert.deepEqual(await dig(`@${server}`, over, 'web.shop.svc.cluster.local', 'AAAA'), ['fd96::5']);
      }
    }
    assert.deepEqual(await dig(`@${first}`, 'db-7.db.shop.svc.cluster.local'), ['10.81.2.8']);
    assert.deepEqual(await dig(`@${first}`, 'api.example.com.front.svc.cluster.local'), [
      'api.example.com.',
      '240.240.0.1',
    ]);
    assert.deepEqual(await dig(`@${first}`, 'api.example.com', 'AAAA'), []);
    // Its pods have both families, and it is offered in one.
    for (const name of ['solo', 'solo-0.solo']) {
      assert.deepEqual(await dig(`@${first}`, `${name}.shop.svc.cluster.local`), ['10.81.3.1']);
      assert.deepEqual(await dig(`@${first}`, `${name}.shop.svc.cluster.local`, 'AAAA'), []);
    }
    assert.deepEqual(received(), [], 'nobody was asked');
  });

  test('asks the very server that was asked, from the address of the pod, over the protocol of the client', async () => {
    answers.set(second, answerWith('192.0.2.2'));
    answers.set(sixth, answerWith('192.0.2.3'));
    assert.deepEqual(await dig(`@${first}`, 'one.example.org'), ['192.0.2.1']);
    assert.deepEqual(await dig(`@${second}`, 'two.example.org'), ['192.0.2.2']);
    assert.deepEqual(await dig(`@${sixth}`, 'three.example.org'), ['192.0.2.3']);
    assert.deepEqual(await dig(`@${second}`, '+tcp', 'four.example.org'), ['192.0.2.2']);
    assert.deepEqual(received(), [
      [first, 'udp', 'one.example.org'],
      [second, 'udp', 'two.example.org'],
      [second, 'tcp', 'four.example.org'],
      [sixth, 'udp', 'three.example.org'],
    ]);
    assert.deepEqual(
      new Set(servers.slice(0, 2).flatMap(({ queries }) => queries.map(({ from }) => from))),
      new Set([podIp]),
    );
    assert.deepEqual(new Set(servers[2]?.queries.map(({ from }) => from)), new Set(['fd81::2']));
    assert.deepEqual(await dig(`@${sixth}`, '+tcp', 'five.example.org'), ['192.0.2.3']);
  });

  test('leaves other types, classes, opcodes and signed queries to the server, byte for byte but for the id', async () => {
    const sent = [
      queryFor('web.shop.svc.cluster.local', 'SRV'),
      encode({ type: 'query', id: 4711, questions: [{ name: 'web.shop.svc.cluster.local', type: 'A', class: 'CH' }] }),
    ];
    const update = queryFor('web.shop.svc.cluster.local');
    update.writeUInt8(5 << 3, 2);
    sent.push(update);
    answers.set(first, ({ bytes }) => {
      const answer = Buffer.from(bytes);
      answer.writeUInt16BE(answer.readUInt16BE(2) | 0x8000, 2);
      return [answer];
    });
    for (const query of sent) {
      const answer = await ask(query);
      assert.equal(answer.readUInt16BE(0), 4711);
      const bytes = servers[0]?.queries.at(-1)?.bytes ?? Buffer.alloc(0);
      assert.deepEqual(bytes.subarray(2), query.subarray(2));
    }
  });

  /** One query to the first server over UDP, from the pod and not marked. */
  async function ask(query: Uint8Array, host = first): Promise<Buffer> {
    const socket = await connectDatagramSocket({ netns: podNetns, host, port: 53 });
    try {
      return await new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('no answer')), 20_000);
        socket.on('error', reject);
        socket.on('message', (message) => {
          clearTimeout(timer);
          resolve(message);
        });
        socket.send(query);
      });
    } finally {
      socket.close();
    }
  }

  test('draws ids and ports anew for each query', async () => {
    for (let i = 0; i < 12; i++) await ask(queryFor(`n${i}.example.org`));
    const { queries } = servers[0] ?? { queries: [] };
    assert.equal(queries.length, 12);
    assert.ok(new Set(queries.map(({ port }) => port)).size > 9);
    assert.ok(new Set(queries.map(({ packet }) => packet.id)).size > 9);
  });

  test('hears no answer with another id or question', async () => {
    answers.set(first, ({ packet }) => {
      const lie = { type: 'A', name: 'x.example.org', ttl: 60, data: '203.0.113.66' } as const;
      const wrongId = { ...packet, id: ((packet.id ?? 0) + 1) & 0xffff };
      const wrongName = { ...packet, questions: [{ name: 'y.example.org', type: 'A' as const }] };
      return [
        reply(wrongId, [lie]),
        reply(wrongName, [lie]),
        Buffer.alloc(3),
        ...answerWith('192.0.2.9')({ packet } as never),
      ];
    });
    assert.deepEqual(await dig(`@${first}`, 'x.example.org'), ['192.0.2.9']);
  });

  for (const [asked, next] of [
    [first, second],
    [sixth, first],
  ] as const) {
    test(`goes from ${asked} to the next server when it is silent, and when it refuses`, async () => {
      answers.set(asked, () => []);
      answers.set(next, answerWith('192.0.2.2'));
      assert.deepEqual(await dig(`@${asked}`, 'silent.example.org'), ['192.0.2.2']);
      const daddr = `${asked.includes(':') ? 'ip6' : 'ip'} daddr ${asked}`;
      await node.exec(
        'nft',
        `add table inet refuse; add chain inet refuse in { type filter hook input priority 0; }; add rule inet refuse in ${daddr} udp dport 53 reject; add rule inet refuse in ${daddr} tcp dport 53 reject with tcp reset`,
      );
      try {
        assert.deepEqual(await dig(`@${asked}`, 'refused.example.org'), ['192.0.2.2']);
        assert.deepEqual(await dig(`@${asked}`, '+tcp', 'refused.example.org'), ['192.0.2.2']);
      } finally {
        await node.exec('nft', 'delete table inet refuse');
      }
    });
  }

  test('says SERVFAIL when nobody answers, before resolvers give up, and why in the log', async () => {
    for (const server of nameservers) answers.set(server, () => []);
    const said = [first, sixth].flatMap((server) =>
      ['+notcp', '+tcp'].map((over) =>
        pod.exec('dig', '+tries=1', '+timeout=30', `@${server}`, over, 'nobody.example.org'),
      ),
    );
    for (const answer of await Promise.all(said)) assert.match(answer, /status: SERVFAIL/);
    assert.ok(
      logged.some((line) =>
        /"scope":"data\.dns".*"query":"nobody\.example\.org".*"reason":"no answer within 4500 ms/.test(line),
      ),
    );
    const metrics = [...writeSnapshot(registry.snapshot(), 'text')].join('');
    assert.match(
      metrics,
      /istio_dns_upstream_failures_total\{request_query_type="A",request_protocol="udp",source_canonical_service="app",source_canonical_revision="v1"\} \d/,
    );
  });

  for (const server of [first, sixth]) {
    test(`fits its answers to what the client of ${server} takes, and has the rest over TCP`, async () => {
      const plain = decode(await ask(queryFor('db.shop.svc.cluster.local'), server));
      assert.ok(plain.flag_tc && (plain.answers?.length ?? 0) > 20);
      const edns = await pod.exec('dig', '+bufsize=1232', '+ignore', `@${server}`, 'db.shop.svc.cluster.local');
      assert.match(edns, /ANSWER: 60,/);
      assert.match(edns, /EDNS: version: 0/);
      assert.equal(
        (await dig(`@${server}`, '+noedns', 'db.shop.svc.cluster.local')).length,
        60,
        'dig asks again over TCP',
      );
    });

    test(`has the whole of a cut answer of ${server} over TCP where the client takes it`, async () => {
      answers.set(server, ({ packet, protocol }) => {
        const name = packet.questions?.[0]?.name ?? '';
        const texts = Array.from(
          { length: protocol === 'tcp' ? 9 : 0 },
          (_, i) => ({ type: 'TXT', name, ttl: 1, data: `${i}`.repeat(100) }) as const,
        );
        return [reply(packet, texts, protocol === 'tcp' ? 0 : 0x200)];
      });
      const whole = await pod.exec('dig', '+ignore', '+bufsize=4096', `@${server}`, 'big.example.org', 'TXT');
      assert.match(whole, /ANSWER: 9,/);
      const cut = await pod.exec('dig', '+ignore', '+bufsize=600', `@${server}`, 'big.example.org', 'TXT');
      assert.match(cut, /flags:.* tc .*ANSWER: 0,/s);
      assert.equal(
        (await dig(`@${server}`, '+bufsize=600', 'big.example.org', 'TXT')).length,
        9,
        'dig asks again over TCP',
      );
    });
  }

  for (const server of [first, sixth]) {
    test(`refuses what is malformed to ${server}, and is silent to what is no query`, async () => {
      assert.equal(rcodeOf(decode(await ask(queryFor('abc').subarray(0, 14), server))), 'FORMERR');
      const two = encode({
        type: 'query',
        id: 4711,
        questions: [
          { name: 'a', type: 'A' },
          { name: 'b', type: 'A' },
        ],
      });
      assert.equal(rcodeOf(decode(await ask(two, server))), 'FORMERR');
      const socket = await connectDatagramSocket({ netns: podNetns, host: server, port: 53 });
      socket.on('message', (message) => assert.equal(decode(message).questions?.[0]?.name, 'last.example.org'));
      socket.send(encode({ type: 'response', id: 1, questions: [{ name: 'a', type: 'A' }] }));
      socket.send(Buffer.alloc(11));
      await new Promise<void>((resolve) => {
        socket.once('message', () => resolve());
        socket.send(queryFor('last.example.org'));
      });
      socket.close();
      assert.equal(received().length, 1);
    });

    test(`serves several queries of one TCP connection to ${server}, in pieces and at once, and ends what sends noise`, async () => {
      const socket = await dial({ netns: podNetns, host: server, port: 53, timeoutMs: 10_000 });
      const reader = new DnsStreamReader();
      const got: (string | undefined)[] = [];
      const done = new Promise<void>((resolve) => {
        socket.on('data', (chunk: Buffer) => {
          for (const message of reader.push(chunk)) got.push(decode(Buffer.from(message)).questions?.[0]?.name);
          if (got.length === 42) resolve();
        });
      });
      socket.resume();
      const all = Buffer.concat([
        ...Array.from({ length: 40 }, (_, i) => frameDnsMessage(queryFor(`q${i}.example.org`))),
        frameDnsMessage(queryFor('web.shop.svc.cluster.local')),
        frameDnsMessage(queryFor('db-1.db.shop.svc.cluster.local')),
      ]);
      socket.write(all.subarray(0, 31));
      socket.write(all.subarray(31));
      await done;
      assert.equal(new Set(got).size, 42);
      const closed = new Promise((resolve) => socket.once('end', resolve));
      socket.on('error', () => {});
      socket.write(frameDnsMessage(Buffer.alloc(5)));
      await closed;
      socket.destroy();
    });
  }

  test('is not to be asked from outside of the pod', async () => {
    await assert.rejects(
      node.exec('dig', '+tries=1', '+timeout=1', '+tcp', '-p', '15053', `@${podIp}`, 'web.shop.svc.cluster.local'),
    );
    await assert.rejects(
      node.exec('dig', '+tries=1', '+timeout=1', '-p', '15053', `@${podIp}`, 'web.shop.svc.cluster.local'),
    );
    for (const over of ['+tcp', '+notcp']) {
      await assert.rejects(
        node.exec('dig', '+tries=1', '+timeout=1', over, '-p', '15055', '@fd81::2', 'web.shop.svc.cluster.local'),
      );
    }
  });

  test('waits a moment for a pod that is new to the mesh, then says SERVFAIL', async () => {
    mesh.applyAddresses({ updated: [], removed: [own.uid] });
    const waiting = dig(`@${first}`, 'web.shop.svc.cluster.local');
    setTimeout(() => tell(own), 300);
    assert.deepEqual(await waiting, ['10.96.0.5']);
    mesh.applyAddresses({ updated: [], removed: [own.uid] });
    assert.equal(rcodeOf(decode(await ask(queryFor('web.shop.svc.cluster.local')))), 'SERVFAIL');
    tell(own);
  });

  test('bounds what waits, and answers what the mesh knows meanwhile', async () => {
    for (const server of nameservers) answers.set(server, () => []);
    let told = 0;
    const flood = async (i: number): Promise<unknown> => {
      const answer = decode(await ask(queryFor(`flood${i}.example.org`)));
      told++;
      return rcodeOf(answer);
    };
    const codes: Promise<unknown>[] = [];
    // Nobody gives up before all have asked, however long that takes.
    const allAsked = Promise.withResolvers<void>();
    timersBegin = allAsked.promise;
    for (let i = 0; i < 400; i++) {
      codes.push(flood(i));
      // No more on their way than a socket holds while nobody has time to read it.
      const waits = (): boolean => shared.waiting.count >= Math.min(i + 1, 256);
      while (i % 50 === 49 && !waits()) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.deepEqual(await dig(`@${first}`, 'web.shop.svc.cluster.local'), ['10.96.0.5']);
    while (told < 400 - 256) await Promise.race([Promise.all(codes), new Promise((resolve) => setTimeout(resolve, 5))]);
    allAsked.resolve();
    timersBegin = Promise.resolve();
    assert.deepEqual(new Set(await Promise.all(codes)), new Set(['SERVFAIL']));
    const waited = servers.flatMap(({ queries }) => queries).map(({ packet }) => packet.questions?.[0]?.name);
    assert.equal(new Set(waited).size, 256, 'the others were told at once');
    assert.equal(shared.waiting.count, 0);
  });

  test('counts queries by type, protocol and workload, with a histogram of what others took', () => {
    const metrics = [...writeSnapshot(registry.snapshot(), 'text')].join('');
    const labels =
      'request_query_type="A",request_protocol="udp",source_canonical_service="app",source_canonical_revision="v1"';
    for (const name of [
      'istio_dns_requests_total',
      'istio_dns_upstream_requests_total',
      'istio_dns_upstream_request_duration_seconds_count',
    ])
      assert.ok(metrics.includes(`${name}{${labels}}`), name);
    for (const bound of ['0.0005', '0.001', '0.01', '0.1', '1', '5', '+Inf'])
      assert.ok(
        metrics.includes(`istio_dns_upstream_request_duration_seconds_bucket{${labels},le="${bound}"}`),
        `${bound}\n${metrics}`,
      );
  });

  test('hands over to its successor without losing a query', async () => {
    const answered = [0, 0, 0, 0];
    const wrong: unknown[] = [];
    let isStopped = false;
    const clients = answered.map(async (_, client) => {
      for (let i = 0; !isStopped; i++) {
        const answer = decode(await ask(queryFor(i % 2 === 0 ? 'web.shop.svc.cluster.local' : `swap${i}.example.org`)));
        if (answer.answers?.length !== 1) wrong.push(answer);
        answered[client] = i + 1;
      }
    });
    for (let i = 0; i < 5; i++) {
      const before = proxy;
      proxy = await startProxy();
      before.drain();
      // After a few more answers to each, nobody waits for one of the drained any more.
      const goals = answered.map((count) => count + 10);
      const isReached = (): boolean => answered.every((count, client) => count >= (goals[client] ?? 0));
      while (!isReached())
        await Promise.race([Promise.all(clients), new Promise((resolve) => setTimeout(resolve, 20))]);
      before.close();
    }
    isStopped = true;
    await Promise.all(clients);
    assert.deepEqual(wrong, []);
  });

  test('takes no query of its own for one of the pod', async () => {
    // Without the zone, what the kernel remembers of a client leads our query from the same port back to us.
    await pod.exec('nft', 'flush chain inet dns-test raw-out; flush chain inet dns-test raw-in');
    try {
      // A few ports alone, so that clients and we meet at once.
      await pod.exec('sysctl', '-qw', 'net.ipv4.ip_local_port_range=40000 40007');
      const cameBack = (): boolean => logged.some((line) => line.includes('came back'));
      let digs = 0;
      for (; digs < 1000 && !cameBack(); digs++)
        assert.deepEqual(await dig(`@${first}`, `loop${digs}.example.org`), ['192.0.2.1']);
      assert.ok(cameBack());
      const forwarded = logged
        .filter((line) => line.includes('query forwarded'))
        .map((line) => /loop\d+/.exec(line)?.[0]);
      assert.equal(new Set(forwarded).size, forwarded.length, 'none of ours was answered too');
    } finally {
      await pod.exec('sysctl', '-qw', 'net.ipv4.ip_local_port_range=32768 60999');
      await pod.exec('nft', `delete table inet dns-test\n${rules}`);
    }
  });
});
