/** ServiceEntries with a wildcard host that is resolved on request: through ztunnel and waypoint to servers outside of the mesh. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { createTestAuthority, type TestAuthority } from '../support/certificates.ts';
import { openL7Mesh, type HttpAnswer, type L7Mesh } from '../support/l7-mesh.ts';
import { programs } from '../support/mesh.ts';
import { eventually } from '../support/run.ts';

// What is outside of the mesh is the second node itself: no pod, no Service.
const outside = '172.30.1.2';
const outside6 = 'fd00:172:30:1::2';

const records: Readonly<Record<string, readonly string[] | 'silent'>> = {
  'a.out.test': [outside],
  'deep.er.out.test': [outside],
  'six.out.test': [outside6],
  // Nobody listens at the first: the second serves.
  'both.out.test': ['172.30.1.200', outside6],
  'denied.out.test': [outside],
  'silent.out.test': 'silent',
  'loop.out.test': ['127.0.0.1', '::1'],
  'metadata.out.test': ['169.254.169.254'],
  'secure.out.test': [outside],
};

/** The waypoint's own name server is ours, which leaves the names of the cluster to that of the node. */
const ownNameServer = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: {
    name: 'waypoint-names',
    namespace: 'istio-system',
    labels: { 'gateway.istio.io/defaults-for-class': 'istio-waypoint' },
  },
  data: {
    deployment: JSON.stringify({
      spec: {
        template: {
          spec: {
            dnsPolicy: 'None',
            dnsConfig: {
              nameservers: [outside],
              searches: ['svc.cluster.local', 'cluster.local'],
              options: [{ name: 'ndots', value: '5' }],
            },
          },
        },
      },
    }),
  },
};

const entry = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'ServiceEntry',
  metadata: { name: 'out', namespace: 'shop', labels: { 'istio.io/use-waypoint': 'waypoint' } },
  spec: {
    hosts: ['*.out.test'],
    resolution: 'DYNAMIC_DNS',
    location: 'MESH_EXTERNAL',
    ports: [
      { number: 80, name: 'http', protocol: 'HTTP', targetPort: 18080 },
      { number: 8088, name: 'http-tls', protocol: 'HTTP', targetPort: 18443 },
      { number: 443, name: 'tls', protocol: 'TLS', targetPort: 18443 },
    ],
  },
};

const deny = {
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'no-denied', namespace: 'shop' },
  spec: {
    targetRefs: [{ group: 'networking.istio.io', kind: 'ServiceEntry', name: 'out' }],
    action: 'DENY',
    // Without its port, what is said of requests alone would deny all that is no request.
    rules: [
      { to: [{ operation: { hosts: ['denied.out.test'], ports: ['80'] } }] },
      { when: [{ key: 'connection.sni', values: ['denied.out.test'] }], to: [{ operation: { ports: ['443'] } }] },
    ],
  },
};

describe('hosts under a wildcard that are resolved on request', () => {
  let l7: L7Mesh;
  let authority: TestAuthority;
  const servers: ChildProcess[] = [];
  const asked: string[] = [];

  before(async () => {
    authority = await createTestAuthority();
    const { chainPem, keyPem } = await authority.signServer({ dnsNames: ['secure.out.test'], ips: [] });
    l7 = await openL7Mesh();
    const onNode = (program: string, ...args: string[]): ChildProcess => {
      const child = l7.mesh.startOnNode('node-2', [process.execPath, join(programs, program), ...args]);
      servers.push(child);
      return child;
    };
    onNode('http-app.ts', '18080', 'outside');
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    onNode('tls-app.ts', '18443', base64(chainPem), base64(keyPem));
    const zone = { listen: outside, forwardTo: '10.244.2.1', zone: '.out.test', records };
    const names = onNode('zone-server.ts', JSON.stringify(zone));
    createInterface({ input: names.stdout ?? process.stdin }).on('line', (line) => asked.push(line));
    await eventually(async () => asked.includes('ready'), 'the name server outside');
    await l7.apply(ownNameServer, entry, deny);
    // By a pod of the waypoint that asks the new name server, once there is one.
    let last: HttpAnswer | undefined;
    await eventually(
      async () => (last = await ask('http://a.out.test/')).status === 200,
      'the entry acts',
      120_000,
    ).catch((error: unknown) => {
      throw new Error(`the last answer was ${JSON.stringify(last)}`, { cause: error });
    });
  });
  after(async () => {
    for (const child of servers) child.kill();
    await l7?.[Symbol.asyncDispose]();
  });

  const ask = async (url: string, headers: Record<string, string> = {}): Promise<HttpAnswer> => {
    const [answer] = await l7.send('front/client', { url, headers });
    assert.ok(answer);
    return answer;
  };
  /** All that was asked until now has been told of: a name that nobody has asked for comes after it. */
  let markers = 0;
  const allAsked = async (): Promise<readonly string[]> => {
    const name = `marker-${markers++}.out.test`;
    assert.equal((await ask(`http://${name}/`)).status, 503);
    await eventually(async () => asked.includes(name), `${name} is asked for`);
    return asked;
  };
  const reasonOf = ({ headers }: HttpAnswer): string => headers['x-ambit-reason'] ?? '';

  it('have one address of the mesh for clients, whatever name it is', async () => {
    const dig = async (name: string, type: string): Promise<string> =>
      (await l7.mesh.exec('front/client', ['dig', '+short', name, type])).trim();
    const address = await dig('a.out.test', 'A');
    assert.match(address, /^240\.240\./);
    assert.equal(await dig('never.heard.of.out.test', 'A'), address);
    assert.match(await dig('a.out.test', 'AAAA'), /^2001:2::/);
  });

  it('are reached by the Host of a request, in either family, at the port that the entry says', async () => {
    for (const name of ['a', 'deep.er', 'six', 'both']) {
      const answer = await ask(`http://${name}.out.test/x`);
      assert.equal(answer.status, 200, `${name}: ${JSON.stringify(answer)}`);
      const told = JSON.parse(answer.body) as { version: string; headers: Record<string, string> };
      assert.deepEqual([told.version, told.headers['host']], ['outside', `${name}.out.test`]);
    }
  });

  it('are refused when they are not under the wildcard, or say more than their name', async () => {
    const outsideOfIt = await ask('http://a.out.test/', { host: 'evil.test' });
    assert.equal(outsideOfIt.status, 404, JSON.stringify(outsideOfIt));
    for (const host of ['a.out.test:80', 'a.out.test:22']) {
      const answer = await ask('http://a.out.test/', { host });
      assert.deepEqual([answer.status, /names a port/.test(reasonOf(answer))], [503, true], JSON.stringify(answer));
    }
    assert.ok(!(await allAsked()).includes('evil.test'));
  });

  it('are refused when nobody knows them or nobody answers for them, with the reason', async () => {
    const unknown = await ask('http://unknown.out.test/');
    assert.deepEqual([unknown.status, unknown.body], [503, 'DNS resolution failure']);
    assert.match(reasonOf(unknown), /Cannot resolve "unknown\.out\.test": no A record, no AAAA record/);
    const silent = await ask('http://silent.out.test/');
    assert.equal(silent.status, 503);
    assert.match(reasonOf(silent), /Cannot resolve "silent\.out\.test": ETIMEOUT/);
  });

  it('are refused when their addresses are the loopback or the metadata of the machine', async () => {
    for (const [name, reason] of [
      ['loop', /127\.0\.0\.1: it is the loopback/],
      ['metadata', /169\.254\.169\.254: it is link-local/],
    ] as const) {
      const answer = await ask(`http://${name}.out.test/`);
      assert.equal(answer.status, 503);
      assert.match(reasonOf(answer), reason);
    }
  });

  it('are denied by a policy before anybody is asked for their addresses', async () => {
    for (const host of ['denied.out.test', 'DENIED.out.test']) {
      const denied = await ask('http://a.out.test/', { host });
      assert.equal(denied.status, 403, JSON.stringify(denied));
    }
    assert.ok(!(await allAsked()).includes('denied.out.test'), asked.join(' '));
  });

  it('are reached by the name in TLS, whose bytes pass as they are', async () => {
    const ca = authority.rootPem;
    const tls = async (host: string, servername: string): Promise<TlsAnswer> => {
      const wanted = [{ host, port: 443, servername, ca }];
      const command = [process.execPath, join(programs, 'tls-client.ts'), JSON.stringify(wanted)];
      const [answer] = JSON.parse(await l7.mesh.exec('front/client', command)) as TlsAnswer[];
      assert.ok(answer);
      return answer;
    };
    const answer = await tls('secure.out.test', 'secure.out.test');
    assert.equal(answer.status, 200, JSON.stringify(answer));
    assert.equal((JSON.parse(answer.body) as { servername: string }).servername, 'secure.out.test');
    for (const servername of ['evil.test', 'denied.out.test', 'metadata.out.test', 'unknown.out.test']) {
      const refused = await tls('secure.out.test', servername);
      assert.deepEqual([refused.status, typeof refused.error], [0, 'string'], JSON.stringify(refused));
    }
    const names = await allAsked();
    assert.ok(!names.includes('evil.test') && !names.includes('denied.out.test'));
  });

  it('are reached by TLS of the waypoint, under the name of the request', async () => {
    const rule = {
      apiVersion: 'networking.istio.io/v1',
      kind: 'DestinationRule',
      metadata: { name: 'out', namespace: 'shop' },
      spec: {
        host: '*.out.test',
        trafficPolicy: {
          portLevelSettings: [{ port: { number: 8088 }, tls: { mode: 'SIMPLE', insecureSkipVerify: true } }],
        },
      },
    };
    await l7.apply(rule);
    const { body } = await l7.until(
      'front/client',
      { url: 'http://secure.out.test:8088/' },
      ({ status, body: text }) => status === 200 && text.includes('servername'),
      'the waypoint speaks TLS',
    );
    assert.equal((JSON.parse(body) as { servername: string }).servername, 'secure.out.test');
  });
});

interface TlsAnswer {
  readonly status: number;
  readonly body: string;
  readonly error?: string;
}
