import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runCli } from '../index.ts';
import { createTestContext } from '../test-context.ts';
import { bytes, sections } from './sections.ts';

const folder = mkdtempSync(join(tmpdir(), 'ambit-zc-'));
after(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'dump.json');

const hour = 3600_000;
const certificate = {
  pem: '',
  serialNumber: '255',
  validFrom: new Date(Date.now() - hour).toISOString(),
  expirationTime: new Date(Date.now() + 3.5 * hour).toISOString(),
};
const connection = { originalDst: '10.96.0.1:80', protocol: 'HBONE' };

writeFileSync(
  file,
  JSON.stringify({
    workloads: [
      {
        namespace: 'shop',
        name: 'web',
        workloadIps: ['10.0.0.1'],
        node: 'node-1',
        protocol: 'HBONE',
        status: 'Healthy',
      },
      {
        namespace: 'front',
        name: 'curl',
        workloadIps: ['10.0.0.2'],
        node: 'node-2',
        protocol: 'TCP',
        waypoint: { destination: 'front/waypoint.front.svc.cluster.local' },
      },
    ],
    services: [
      {
        namespace: 'shop',
        name: 'web',
        hostname: 'web.shop.svc.cluster.local',
        vips: ['network/10.96.0.1', '/fd00::1'],
        endpoints: {
          'Kubernetes//Pod/shop/web': { status: 'Healthy' },
          'Kubernetes//Pod/shop/gone': { status: 'Unhealthy' },
        },
      },
    ],
    policies: [{ namespace: 'shop', name: 'allow', action: 'Allow', scope: 'Namespace', rules: [] }],
    certificates: [
      {
        identity: 'spiffe://cluster.local/ns/shop/sa/web',
        state: 'Available',
        renewalError: 'out of order',
        certChain: [certificate],
        rootCerts: [certificate],
      },
      {
        identity: 'spiffe://cluster.local/ns/shop/sa/new',
        state: 'Unavailable: no answer',
        certChain: [],
        rootCerts: [],
      },
    ],
    workloadState: {
      uid: {
        state: 'Up',
        info: { name: 'web', namespace: 'shop' },
        connections: {
          inbound: [
            {
              ...connection,
              src: '10.0.0.2:40000',
              actualDst: '10.0.0.1:15008',
              ambit: {
                sourceIdentity: 'spiffe://cluster.local/ns/front/sa/curl',
                bytesSent: 2048,
                bytesReceived: 5,
                since: new Date(Date.now() - 3.5 * hour).toISOString(),
                policy: 'shop/allow',
              },
            },
          ],
          // Of an upstream ztunnel, which tells no more.
          outbound: [{ ...connection, src: '10.0.0.1:5', actualDst: '[fd00::9]:80' }],
        },
      },
    },
  }),
);

async function show(...words: string[]): Promise<string> {
  const environment = createTestContext();
  const code = await runCli(['ztunnel-config', ...words, '--file', file], environment);
  assert.equal(code, 0, environment.stderr());
  return environment.stdout();
}

async function refusal(...words: string[]): Promise<string> {
  const environment = createTestContext();
  assert.notEqual(await runCli(['ztunnel-config', ...words], environment), 0);
  return environment.stderr();
}

test('connections have names, bytes, age and the identity of the peer', async () => {
  assert.equal(
    (await show('connections')).replaceAll(/ {2,}/g, ' | ').replaceAll(/ +\n/g, '\n'),
    'WORKLOAD | DIRECTION | LOCAL | REMOTE | REMOTE TARGET | PROTOCOL | SENT | RECEIVED | AGE | PEER IDENTITY\n' +
      'web.shop | inbound | web.shop:15008 | curl.front:40000 | 10.96.0.1:80 | HBONE | 2.0KiB | 5B | 3h | spiffe://cluster.local/ns/front/sa/curl\n' +
      'web.shop | outbound | web.shop:5 | [fd00::9]:80 | web.shop.svc.cluster.local:80 | HBONE | - | - | - | -\n',
  );
  const wide = await show('cons', '--direction', 'inbound', '-o', 'wide', '--raw');
  assert.match(wide, /10\.0\.0\.1:15008 +10\.0\.0\.2:40000 .*shop\/allow/);
  assert.doesNotMatch(wide, /outbound/);
});

test('the words of istioctl, one or many, mean the same', async () => {
  for (const [word, also] of [
    ['workloads', 'workload'],
    ['services', 'svc'],
    ['policies', 'policy'],
    ['certificates', 'cert'],
  ] as const) {
    assert.equal(await show(word), await show(also));
  }
});

test('tables of all there is', async () => {
  assert.match(
    await show('workloads'),
    /^NAMESPACE +POD NAME +ADDRESS +NODE +WAYPOINT +PROTOCOL\nfront +curl +10\.0\.0\.2 +node-2 +waypoint +TCP\nshop/,
  );
  assert.match(await show('services'), /shop +web +10\.96\.0\.1,fd00::1 +None +1\/2\n/);
  assert.match(await show('policies'), /shop +allow +Allow +Namespace\n/);
  const certificates = await show('certificates', '-o', 'wide');
  assert.match(certificates, /sa\/web +Leaf +Available +true +ff .* 3h +out of order\n/);
  assert.match(certificates, /sa\/web +Root +[^\n]* 3h +-\n/);
  assert.match(certificates, /sa\/new +- +Unavailable +false .* no answer\n/);
  assert.match(await show('all'), /WORKLOADS\n[^]*SERVICES\n[^]*POLICIES\n[^]*CERTIFICATES\n[^]*CONNECTIONS\n/);
});

test('JSON and YAML have the values, filtered by namespace', async () => {
  const rows = JSON.parse(await show('workloads', '-n', 'shop', '-o', 'json')) as { name: string }[];
  assert.deepEqual(
    rows.map(({ name }) => name),
    ['web'],
  );
  assert.match(await show('connections', '-o', 'yaml'), /bytesSent: 2048/);
});

test('what cannot be is said', async () => {
  assert.match(await refusal('nothing'), /Cannot show "nothing": write one of all, certificates/);
  assert.match(await refusal('workloads', '--level', 'debug', '--file', file), /write ambit ztunnel-config log/);
  assert.match(await refusal('workloads', '--file', join(folder, 'absent')), /Cannot read ".*absent": ENOENT/);
  assert.match(await refusal('log', '--file', file), /Cannot use --file with "log"/);
});

test("the certificates of a pod are its account's", () => {
  const pod = { name: 'x', namespace: 'shop', serviceAccount: 'web' };
  const isOf = (identity: string): boolean | undefined => sections['certificates']?.concerns({ identity }, pod);
  assert.deepEqual(
    ['shop/sa/web', 'shop/sa/new', 'other/sa/web'].map((end) => isOf(`spiffe://cluster.local/ns/${end}`)),
    [true, false, false],
  );
});

test('numbers of bytes are short', () => {
  assert.deepEqual([0, 1023, 1024, 1536, 5 * 2 ** 30, undefined].map(bytes), [
    '0B',
    '1023B',
    '1.0KiB',
    '1.5KiB',
    '5.0GiB',
    '',
  ]);
});
