/** Who comes to an enrolled pod's 15008 without the right certificate, or asks for nonsense, is refused; the mesh lives on. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { kinds, type AuthorizationPolicy } from '../../src/api/index.ts';
import { errorCode, frameFlag, frameType } from '../../src/http/h2/constants.ts';
import { rawFrame } from '../../src/http/h2/raw-peer.ts';
import type { WorkloadCertificate } from '../../src/identity/index.ts';
import { systemClock, type Clock } from '../../src/lib/clock.ts';
import { accessLines, metricSum } from '../support/access-log.ts';
import { createTestAuthority, openTestAuthority, type TestAuthority } from '../support/certificates.ts';
import { converse, type Conversation } from '../support/conversation.ts';
import { framesOf, http2Request } from '../support/http2-bytes.ts';
import { programs, type TestMesh } from '../support/mesh.ts';
import type { PeerAnswer, PeerQuestion, PeerResponse, PeerTls } from '../support/programs/foreign-peer.ts';
import { openRefusalsMesh, type RefusalsMesh } from '../support/refusals-mesh.ts';
import { eventually } from '../support/run.ts';

describe('refusals by an enrolled pod', () => {
  let refusals: RefusalsMesh;
  let mesh: TestMesh;
  let visitor: Conversation<PeerQuestion, PeerAnswer>;
  let visitorIp: string;
  let serverIp: string;
  let authority: TestAuthority;
  let certificate: PeerTls;

  before(async () => {
    refusals = await openRefusalsMesh();
    ({ mesh } = refusals);
    visitorIp = await refusals.podIp('visitor', 'outside');
    serverIp = await refusals.podIp('server');
    authority = await meshAuthority(systemClock);
    certificate = tlsOf(await authority.certificate('default/client'));
    visitor = converse(await mesh.startInPod('outside/visitor', [process.execPath, join(programs, 'foreign-peer.ts')]));
  });
  after(async () => {
    await visitor?.[Symbol.asyncDispose]();
    await refusals?.[Symbol.asyncDispose]();
  });
  afterEach(() => refusals.expectUnharmed());

  /** The mesh's own authority, in the hands of a test. */
  async function meshAuthority(clock: Clock): Promise<TestAuthority> {
    const { data = {} } = await mesh.client.get(kinds.Secret, 'istio-ca-secret', 'istio-system');
    const pem = (name: string): string => Buffer.from(data[name] ?? '', 'base64').toString();
    return openTestAuthority({ certPem: pem('ca-cert.pem'), keyPem: pem('ca-key.pem') }, clock);
  }

  function tlsOf({ chainPem, key }: WorkloadCertificate): PeerTls {
    return { certPem: chainPem.join(''), keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString() };
  }

  const ask = (question: Partial<PeerQuestion>): Promise<PeerAnswer> =>
    visitor.ask({ host: serverIp, port: 15008, ...question });

  const failures = (flags: string): Promise<number> =>
    metricSum(mesh, 'node-2', 'istio_tcp_connections_failed_total', [
      'reporter="destination"',
      `response_flags="${flags}"`,
      'destination_workload="server"',
    ]);

  interface Refusal {
    readonly question: Partial<PeerQuestion>;
    /** What ztunnel's log says of it. */
    readonly reason: RegExp;
    readonly check?: (answer: PeerAnswer) => void;
  }

  /** Each is refused as it checks, has its line in the log with the reason, and counts as one failure with `flags`. */
  async function expectRefusals(flags: string, refused: readonly Refusal[]): Promise<void> {
    const failuresBefore = await failures(flags);
    const answers: PeerAnswer[] = [];
    for (const { question, check } of refused) {
      const answer = await ask(question);
      check?.(answer);
      answers.push(answer);
    }
    const lines = await accessLines(
      mesh,
      'node-2',
      answers.map(({ localPort }) => [`src.addr=${visitorIp}:${localPort} `, 'direction="inbound"', 'error=']),
    );
    for (const [i, { reason }] of refused.entries()) assert.match(lines[i] ?? '', reason);
    await eventually(
      async () => ((await failures(flags)) === failuresBefore + refused.length ? true : undefined),
      `${refused.length} more ${flags} in the metrics`,
    );
  }

  // Who is not let in gets no byte of an answer. With TLS 1.3 the client's handshake ends before its certificate is read.
  const toldNothing = (answer: PeerAnswer): void => {
    assert.equal(answer.closed, true, 'the connection is ended');
    assert.equal(answer.received, '');
  };
  const someRequest = http2Request([
    [':method', 'CONNECT'],
    [':authority', 'server:7000'],
  ]).toString('base64');

  it('takes a CONNECT of a foreign HTTP/2 with a certificate, to the pod and to its Service', async () => {
    for (const target of [`${serverIp}:7000`, 'server.default.svc.cluster.local:7000']) {
      const { status, echoed } = responseOf(await ask(connectTo(target)));
      assert.deepEqual({ status, echoed }, { status: 200, echoed: 'hello' }, target);
    }
  });

  it('tells nothing to a client without certificate', () =>
    expectRefusals('TLS_FAILURE', [
      { question: { tls: {}, send: someRequest }, reason: /the client showed no certificate/, check: toldNothing },
    ]));

  it('tells nothing to a certificate of another trust domain, signed by the mesh itself', async () => {
    const tls = tlsOf(await authority.certificate('spiffe://evil.example/ns/default/sa/client'));
    const reason =
      /the client is spiffe:\/\/evil\.example\/ns\/default\/sa\/client, not of trust domain cluster\.local/;
    await expectRefusals('TLS_FAILURE', [{ question: { tls, send: someRequest }, reason, check: toldNothing }]);
  });

  it('tells nothing to certificates of a foreign root, expired, or of a server', async () => {
    const foreign = await createTestAuthority();
    const past = await meshAuthority({ ...systemClock, nowMs: () => Date.now() - 60_000 });
    const server = await authority.signServer({ dnsNames: ['istiod.istio-system.svc'], ips: [] });
    const cases: [PeerTls, RegExp][] = [
      [tlsOf(await foreign.certificate('default/client')), /the client's certificate is refused: UNABLE_TO_/],
      [tlsOf(await past.certificate('default/client', { ttlSeconds: 30 })), /CERT_HAS_EXPIRED/],
      [{ certPem: server.chainPem, keyPem: server.keyPem }, /not for use as a client|INVALID_PURPOSE/],
    ];
    await expectRefusals(
      'TLS_FAILURE',
      cases.map(([tls, reason]) => ({ question: { tls, send: someRequest }, reason, check: toldNothing })),
    );
  });

  function getsAlert({ handshakeDone, error = '' }: PeerAnswer, alert: RegExp): void {
    assert.equal(handshakeDone, false);
    assert.match(error, alert);
  }

  it('refuses TLS 1.2 and TLS without HTTP/2 by an alert', () =>
    expectRefusals('TLS_FAILURE', [
      {
        question: { tls: { ...certificate, maxVersion: 'TLSv1.2' } },
        reason: /TLS handshake: unsupported protocol(: the log of the other end[^"]*)?"/,
        check: (answer) => getsAlert(answer, /PROTOCOL_VERSION/),
      },
      {
        question: { tls: { ...certificate, alpn: ['http/1.1'] } },
        reason: /TLS handshake: no application protocol(: the log of the other end[^"]*)?"/,
        check: (answer) => getsAlert(answer, /NO_APPLICATION_PROTOCOL/),
      },
    ]));

  it('refuses plain HTTP, plain HTTP/2 and garbage', () =>
    expectRefusals(
      'TLS_FAILURE',
      (
        [
          [
            Buffer.from('GET / HTTP/1.1\r\nhost: server\r\n\r\n').toString('base64'),
            /TLS handshake: http request(: the log of the other end[^"]*)?"/,
          ],
          [someRequest, /TLS handshake: /],
          [Buffer.alloc(2000, 0x16).toString('base64'), /TLS handshake: /],
        ] as const
      ).map(([send, reason]) => ({
        question: { send },
        reason,
        check: ({ closed }) => assert.equal(closed, true, 'the connection is ended'),
      })),
    ));

  it('gives up on a client that says nothing', () =>
    expectRefusals('TLS_FAILURE', [
      { question: { timeoutMs: 30_000 }, reason: /TLS handshake: no end of it in 10000 ms/, check: toldNothing },
    ]));

  it('outlives garbage at every port that pods can reach', async () => {
    const garbage = Buffer.alloc(5000, 0x16).toString('base64');
    for (const [host, ports] of [
      [serverIp, [15001, 15006, 15008]],
      ['172.30.0.1', [15012, 6443]],
      ['172.30.1.2', [15020, 15021]],
    ] as const) {
      for (const port of ports) {
        const plain = await ask({ host, port, send: garbage, timeoutMs: 500 });
        assert.ok(plain.localPort > 0 || plain.error === 'ECONNRESET', `${host}:${port} is reached`);
        await ask({ host, port, tls: {}, send: garbage, timeoutMs: 500 });
      }
    }
  });

  // From here on the peer is a workload of the mesh, and what it asks is wrong.

  const connectTo = (authorityText: string): Partial<PeerQuestion> => ({
    tls: certificate,
    request: { ':method': 'CONNECT', ':authority': authorityText },
  });

  function responseOf(answer: PeerAnswer): PeerResponse {
    assert.ok(answer.response, `there is an answer: ${JSON.stringify(answer)}`);
    return answer.response;
  }

  const refusedConnect = (target: string, status: number, reason: RegExp): Refusal => ({
    question: connectTo(target),
    reason,
    check(answer) {
      const response = responseOf(answer);
      assert.equal(response.status, status, target);
      assert.match(JSON.stringify(response.headers), reason, 'the peer is told the reason too');
    },
  });

  it('answers a GET with 400', () =>
    expectRefusals('CONNECT', [
      {
        question: {
          tls: certificate,
          request: { ':method': 'GET', ':scheme': 'https', ':authority': `${serverIp}:7000`, ':path': '/' },
        },
        reason: /method is not CONNECT/,
        check: (answer) => assert.equal(responseOf(answer).status, 400),
      },
    ]));

  it('answers CONNECT without port, and to what is no address, with 400', () =>
    expectRefusals(
      'CONNECT',
      ['server.default', '7000', 'server:70000', '10.244.2:7000'].map((text) =>
        refusedConnect(text, 400, /cannot parse authority/),
      ),
    ));

  it("answers CONNECT to somebody else's address with 400", async () => {
    const pods = [await refusals.podIp('sibling'), await refusals.podIp('client')];
    await expectRefusals(
      'CONNECT',
      [...pods, '127.0.0.1', '172.30.0.1', '192.0.2.1'].map((ip) =>
        refusedConnect(`${ip}:7000`, 400, /is not served at/),
      ),
    );
  });

  it("answers CONNECT to the proxy's own ports and to where nothing is with 503", () =>
    expectRefusals('CONNECT', [
      refusedConnect(`${serverIp}:15001`, 503, /is a listener of the proxy itself/),
      refusedConnect(`${serverIp}:15006`, 503, /is a listener of the proxy itself/),
      refusedConnect(`${serverIp}:15008`, 503, /is a listener of the proxy itself/),
      refusedConnect('nobody.default.svc.cluster.local:7000', 503, /unknown service nobody/),
      refusedConnect('server.default.svc.cluster.local:7999', 503, /serves no port 7999/),
      refusedConnect(`${serverIp}:7999`, 503, /refused/i),
    ]));

  it('answers CONNECT that a policy denies with 401', async () => {
    await mesh.client.create(kinds.AuthorizationPolicy, {
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'no-visitors', namespace: 'default' },
      spec: { action: 'DENY', rules: [{ from: [{ source: { ipBlocks: [visitorIp] } }] }] },
    } as AuthorizationPolicy);
    const statusIs = (expected: number, what: string): Promise<true> =>
      eventually(
        async () => (responseOf(await ask(connectTo(`${serverIp}:7000`))).status === expected ? true : undefined),
        what,
      );
    try {
      await statusIs(401, 'the policy acts');
      // Of the earlier ones, some may still be on their way into the metrics: this one is told apart by its line.
      const { localPort } = await ask(connectTo(`${serverIp}:7000`));
      const [line = ''] = await accessLines(mesh, 'node-2', [[`src.addr=${visitorIp}:${localPort} `, 'error=']]);
      assert.match(line, /default\/no-visitors/);
    } finally {
      await mesh.client.delete(kinds.AuthorizationPolicy, 'no-visitors', 'default');
    }
    await statusIs(200, 'the policy is gone');
  });

  it('answers a malformed CONNECT with 400 and a reset of its stream alone', () =>
    expectRefusals(
      'CONNECT',
      malformed.map(([reason, fields]) => ({
        question: {
          tls: certificate,
          send: Buffer.concat([http2Request(fields), ping(0)]).toString('base64'),
          until: ping(frameFlag.ack).toString('base64'),
        },
        reason,
        check({ received, closed }) {
          const bytes = Buffer.from(received, 'base64');
          const frames = framesOf(bytes).filter(({ streamId }) => streamId === 1);
          assert.deepEqual(
            frames.map(({ type }) => type),
            [frameType.headers, frameType.rstStream],
          );
          // Entry 12 of the static table of HPACK (RFC 7541 appendix A): `:status: 400`.
          assert.equal(frames[0]?.payload[0], 0x80 | 12);
          assert.equal(frames[1]?.payload.readUInt32BE(0), errorCode.protocolError);
          assert.equal(closed, false);
          assert.ok(bytes.includes(ping(frameFlag.ack)), 'the connection serves on');
        },
      })),
    ));

  it('ends a connection that does not speak HTTP/2 after all, with GOAWAY', () =>
    expectRefusals('H2_HANDSHAKE_FAILURE', [
      {
        question: { tls: certificate, send: http1Request },
        reason: /did not start with the HTTP\/2 preface/,
        check({ received, closed }) {
          assert.equal(closed, true);
          const goaway = framesOf(Buffer.from(received, 'base64')).find(({ type }) => type === frameType.goaway);
          assert.equal(goaway?.payload.readUInt32BE(4), errorCode.protocolError);
        },
      },
    ]));
});

const ping = (flags: number): Buffer => rawFrame(frameType.ping, flags, 0, Buffer.from('8 bytes.'));
const http1Request = Buffer.from('CONNECT server:7000 HTTP/1.1\r\nhost: server:7000\r\n\r\n').toString('base64');

/** Requests that break HTTP/2 (RFC 9113 sections 8.2, 8.3 and 8.5), and how. */
const malformed: [RegExp, [name: string, value: string][]][] = [
  [/CONNECT without :authority/, [[':method', 'CONNECT']]],
  ...['a b:7000', 'user@x:7000', 'host:port', '[::1'].map((text): [RegExp, [name: string, value: string][]] => [
    /:authority with (?:forbidden characters|user information)/,
    [
      [':method', 'CONNECT'],
      [':authority', text],
    ],
  ]),
  [
    /CONNECT without :authority/,
    [
      [':method', 'CONNECT'],
      [':authority', ''],
    ],
  ],
  [
    /CONNECT with :scheme or :path/,
    [
      [':method', 'CONNECT'],
      [':scheme', 'https'],
      [':path', '/'],
      [':authority', 'server:7000'],
    ],
  ],
  [
    /a repeated pseudo field/,
    [
      [':method', 'CONNECT'],
      [':authority', 'server:7000'],
      [':authority', 'client:7000'],
    ],
  ],
  [
    /a field name with forbidden characters/,
    [
      [':method', 'CONNECT'],
      [':authority', 'server:7000'],
      ['Baggage', 'x'],
    ],
  ],
];
