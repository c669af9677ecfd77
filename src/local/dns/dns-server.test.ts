import { deepEqual, equal, ok } from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { decode, encode, type Answer, type Packet, type RecordType } from 'dns-packet';
import type { EndpointSlice, Service } from '../../api/index.ts';
import { silentLog } from '../../lib/log.ts';
import { ClusterNames } from './cluster-names.ts';
import { answerQuery, startDnsServer } from './dns-server.ts';

const many: EndpointSlice = {
  metadata: { name: 'many-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'many' } },
  addressType: 'IPv4',
  endpoints: Array.from({ length: 25 }, (_, i) => ({ addresses: [`10.244.1.${i + 2}`] })),
};
const services: Service[] = [
  {
    metadata: { name: 'web', namespace: 'shop' },
    spec: { clusterIP: '10.96.0.5', ports: [{ name: 'http', port: 80 }] },
  },
  { metadata: { name: 'many', namespace: 'shop' }, spec: { clusterIP: 'None' } },
];
const names = new ClusterNames({
  clusterDomain: 'cluster.local',
  services: new Map(services.map((each) => [`shop/${each.metadata.name}`, each])),
  slicesOf: (key) => (key === 'shop/many' ? [many] : []),
});
const options = { clusterDomain: 'cluster.local', names: () => names };

const question = (name: string, type: RecordType = 'A', more: Partial<Packet> = {}): Buffer =>
  encode({ type: 'query', id: 77, flags: 0x100, questions: [{ name, type }], ...more });
/** dns-packet decodes it; its types do not say so. */
const rcodeOf = (packet: object): unknown => ('rcode' in packet ? packet.rcode : undefined);
const ask = (...args: Parameters<typeof question>): ReturnType<typeof decode> => {
  const answer = answerQuery(question(...args), options, 1232);
  if (!Buffer.isBuffer(answer)) throw new Error('no answer');
  return decode(answer);
};
const bytes = (answer: unknown): Buffer => (Buffer.isBuffer(answer) ? answer : Buffer.alloc(0));
const dataOf = (answers: readonly Answer[] | undefined): unknown[] =>
  (answers ?? []).map((each) => ('data' in each ? each.data : undefined));

test('a name is answered with authority, its id and its question', () => {
  const answer = ask('web.shop.svc.cluster.local');
  equal(answer.id, 77);
  equal(rcodeOf(answer), 'NOERROR');
  ok(answer.flag_aa && answer.flag_rd && !answer.flag_tc);
  deepEqual(dataOf(answer.answers), ['10.96.0.5']);
  equal(answer.questions?.[0]?.name, 'web.shop.svc.cluster.local');
});

test('an existing name without such a record has an empty answer, not NXDOMAIN', () => {
  const answer = ask('web.shop.svc.cluster.local', 'AAAA');
  equal(rcodeOf(answer), 'NOERROR');
  deepEqual(answer.answers, []);
  equal(answer.authorities?.[0]?.type, 'SOA');
});

test('an unknown cluster name is NXDOMAIN, any other name is refused', () => {
  equal(rcodeOf(ask('no.shop.svc.cluster.local')), 'NXDOMAIN');
  equal(rcodeOf(ask('example.com')), 'REFUSED');
});

test('while the names are not known, clients are asked to try again', () => {
  const answer = answerQuery(question('web.shop.svc.cluster.local'), { ...options, names: () => undefined });
  equal(rcodeOf(decode(bytes(answer))), 'SERVFAIL');
});

test('what does not fit a datagram is truncated, with EDNS later', () => {
  const plain = ask('many.shop.svc.cluster.local');
  ok(plain.flag_tc);
  deepEqual(plain.answers, []);
  const edns = ask('many.shop.svc.cluster.local', 'A', {
    additionals: [{ type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0, options: [] } as unknown as Answer],
  });
  equal(edns.answers?.length, 25);
  ok(edns.additionals?.some((each) => each.type === 'OPT'));
});

test('answers, fragments and noise get no answer, or an error', () => {
  equal(answerQuery(encode({ type: 'response', id: 1, questions: [] }), options), undefined);
  equal(answerQuery(Buffer.alloc(5), options), undefined);
  const garbage = Buffer.concat([question('x').subarray(0, 12), Buffer.from([63, 1, 2])]);
  equal(rcodeOf(decode(bytes(answerQuery(garbage, options)))), 'FORMERR');
  const update = question('web.shop.svc.cluster.local');
  update.writeUInt8((5 << 3) | 1, 2);
  equal(rcodeOf(decode(bytes(answerQuery(update, options)))), 'NOTIMP');
  // Random bytes never throw.
  for (let seed = 1; seed < 500; seed++) {
    const noise = Buffer.from(
      Array.from({ length: 12 + (seed % 60) }, (_, i) => (seed * 2_654_435_761 + i * 40_503 * seed) & 0xff),
    );
    void answerQuery(noise, options);
  }
});

test('it serves UDP and TCP on one port', async () => {
  const server = await startDnsServer({ ...options, host: '127.0.0.1', port: 0, log: silentLog() });
  try {
    const udp = createSocket('udp4');
    udp.send(question('web.shop.svc.cluster.local'), server.port, '127.0.0.1');
    const [message] = (await once(udp, 'message')) as [Buffer];
    deepEqual(dataOf(decode(message).answers), ['10.96.0.5']);
    udp.close();

    const tcp = connect(server.port, '127.0.0.1');
    const query = question('many.shop.svc.cluster.local');
    const framed = Buffer.concat([Buffer.from([query.length >> 8, query.length & 0xff]), query]);
    // In two pieces, then a second question at once.
    tcp.write(framed.subarray(0, 5));
    tcp.write(Buffer.concat([framed.subarray(5), framed]));
    let received: Buffer = Buffer.alloc(0);
    while (received.length < 2 || received.length < 2 * (2 + received.readUInt16BE(0))) {
      const [chunk] = (await once(tcp, 'data')) as [Buffer];
      received = Buffer.concat([received, chunk]);
    }
    equal(decode(received.subarray(2, 2 + received.readUInt16BE(0))).answers?.length, 25);
    tcp.destroy();
  } finally {
    await server.close();
  }
});
