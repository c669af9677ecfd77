/** The mesh's authority is away, is given other material, is rotated, and revokes: connections are made all the time. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { kinds, type Event } from '../../src/api/index.ts';
import { createRoot } from '../../src/ca/index.ts';
import { splitCertificates } from '../../src/identity/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { accessLines, metricSum } from '../support/access-log.ts';
import { openTestAuthority } from '../support/certificates.ts';
import { converse, type Conversation } from '../support/conversation.ts';
import { programs } from '../support/mesh.ts';
import { openOpensslRoot, type OpensslAuthority } from '../support/openssl-authority.ts';
import type { PeerAnswer, PeerQuestion } from '../support/programs/foreign-peer.ts';
import { openRefusalsMesh, type RefusalsMesh } from '../support/refusals-mesh.ts';
import { eventually } from '../support/run.ts';

interface DumpedCertificate {
  readonly identity: string;
  readonly state: string;
  readonly certChain: readonly { readonly pem: string }[];
  readonly rootCerts: readonly { readonly pem: string }[];
}

describe('the authority of a mesh', () => {
  let opened: RefusalsMesh;
  let churn: ChildProcess;
  let visitor: Conversation<PeerQuestion, PeerAnswer>;
  let next: OpensslAuthority;
  let signer: OpensslAuthority;
  const reports: { served: number; errors: string[] }[] = [];

  before(async () => {
    opened = await openRefusalsMesh();
    next = openOpensslRoot('next', 'rsa');
    signer = next.intermediate('signer', 'ec');
    const { mesh } = opened;
    visitor = converse(await mesh.startInPod('outside/visitor', [process.execPath, join(programs, 'foreign-peer.ts')]));
    churn = await mesh.startInPod('client', [process.execPath, join(programs, 'churn.ts'), 'server.default', '7000']);
    if (churn.stdout) createInterface({ input: churn.stdout }).on('line', (line) => reports.push(JSON.parse(line)));
  });
  after(async () => {
    churn?.stdin?.end();
    await visitor?.[Symbol.asyncDispose]();
    await opened?.[Symbol.asyncDispose]();
    next?.[Symbol.dispose]();
    signer?.[Symbol.dispose]();
  });

  const encode = (text: string): string => Buffer.from(text).toString('base64');
  const publishedRoots = async (): Promise<string[]> => {
    const { data } = await opened.mesh.client.get(kinds.ConfigMap, 'istio-ca-root-cert', 'default');
    return splitCertificates(data?.['root-cert.pem'] ?? '').map((pem) => pem.trim());
  };
  const certificates = async (node: string): Promise<DumpedCertificate[]> => {
    const script =
      'fetch("http://127.0.0.1:15000/config_dump").then((r) => r.text()).then((t) => process.stdout.write(t))';
    const { stdout, stderr, code } = await opened.mesh.ambit([
      'exec',
      '--node',
      node,
      '--',
      process.execPath,
      '-e',
      script,
    ]);
    assert.equal(code, 0, stderr);
    return (JSON.parse(stdout) as { certificates: DumpedCertificate[] }).certificates;
  };
  /** Waits until every certificate of both nodes is of `chain` length, with `roots` roots. */
  const everywhere = (what: string, chain: number, roots: number): Promise<unknown> =>
    eventually(
      async () => {
        const all = (await Promise.all(['node-1', 'node-2'].map(certificates))).flat();
        return all.length >= 3 &&
          all.every(({ certChain, rootCerts }) => certChain.length === chain && rootCerts.length === roots)
          ? all
          : undefined;
      },
      what,
      120_000,
    );
  const setIntroduction = (duration: string): Promise<unknown> => {
    const annotations = { 'ambit.io/root-introduction': duration };
    const { client } = opened.mesh;
    return client.patch(kinds.Secret, 'cacerts', 'istio-system', { metadata: { annotations } }, { type: 'merge' });
  };
  const expectUnnoticed = async (): Promise<void> => {
    const before = reports.at(-1)?.served ?? 0;
    await eventually(
      async () => ((reports.at(-1)?.served ?? 0) > before + 10 ? true : undefined),
      'connections are served',
    );
    assert.deepEqual(reports.at(-1)?.errors, [], 'no connection failed');
  };
  interface Process {
    readonly component: string;
    readonly pid: number;
    readonly ready: boolean;
  }
  const control = async (): Promise<Process | undefined> => {
    const { stdout } = await opened.mesh.ambit(['status', '-o', 'json']);
    return (JSON.parse(stdout) as Process[]).find(({ component }) => component === 'control');
  };
  const restartControl = async (): Promise<void> => {
    const before = (await control())?.pid ?? 0;
    assert.ok(before > 0);
    process.kill(before, 'SIGKILL');
    const isBack = async (): Promise<true | undefined> => {
      const now = await control();
      return now && now.pid > 0 && now.pid !== before && now.ready ? true : undefined;
    };
    await eventually(isBack, 'the control plane is back', 60_000);
  };
  const refusal = (message: RegExp): Promise<Event> =>
    eventually(async () => {
      const { items } = await opened.mesh.client.list(kinds.Event, { namespace: 'istio-system' });
      return items.find((event) => event.reason === 'MaterialRefused' && message.test(event.message ?? ''));
    }, `an Event MaterialRefused of ${message}`);
  const refusals = async (): Promise<number> => {
    const script =
      'fetch("http://172.30.0.1:15014/metrics").then((r) => r.text()).then((t) => process.stdout.write(t))';
    const { stdout } = await opened.mesh.ambit(['exec', '--node', 'node-1', '--', process.execPath, '-e', script]);
    return Number(/^ambit_ca_material_refused_total (\d+)/m.exec(stdout)?.[1] ?? 0);
  };

  it('takes another root and signer while connections are made, without one that fails', async () => {
    const { mesh } = opened;
    assert.equal((await publishedRoots()).length, 1);
    await mesh.client.create(kinds.Secret, {
      metadata: { name: 'cacerts', namespace: 'istio-system', annotations: { 'ambit.io/root-introduction': '1h' } },
      data: {
        'ca-cert.pem': encode(signer.certPem),
        'ca-key.pem': encode(signer.keyPem),
        'cert-chain.pem': encode(signer.certPem),
        'root-cert.pem': encode(next.certPem),
      },
    });
    await eventually(
      async () => ((await publishedRoots()).length === 2 ? true : undefined),
      'both roots are published',
    );
    await everywhere('both roots are trusted, and the old key signs', 1, 2);
    await expectUnnoticed();
    // They are trusted by all: there is nothing to wait for any more.
    await setIntroduction('1s');
    await everywhere('the new signer, an intermediate, signed everything', 2, 2);
    await expectUnnoticed();
  });

  it('lets who holds a certificate of the old root in as long as that root is there, and not after', async () => {
    const { mesh } = opened;
    await restartControl();
    assert.equal((await publishedRoots()).length, 2, 'a control plane that starts goes on where the last one was');
    const { data = {} } = await mesh.client.get(kinds.Secret, 'istio-ca-secret', 'istio-system');
    const pem = (name: string): string => Buffer.from(data[name] ?? '', 'base64').toString();
    const old = await openTestAuthority({ certPem: pem('ca-cert.pem'), keyPem: pem('ca-key.pem') });
    const { chainPem, key } = await old.certificate('default/client');
    const host = await opened.podIp('server');
    const request = { ':method': 'CONNECT', ':authority': `${host}:7000` };
    const tls = { certPem: chainPem.join(''), keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString() };
    const ask = (): Promise<PeerAnswer> => visitor.ask({ host, port: 15008, tls, request });
    assert.equal((await ask()).response?.echoed, 'hello', 'the old root is trusted still');

    await setIntroduction('0s');
    await eventually(async () => ((await publishedRoots()).length === 1 ? true : undefined), 'one root is published');
    assert.equal((await publishedRoots())[0], next.certPem.trim());
    await everywhere('the new root alone is trusted', 2, 1);
    const { localPort, response } = await ask();
    assert.equal(response?.status, undefined);
    const visitorIp = await opened.podIp('visitor', 'outside');
    const [line = ''] = await accessLines(mesh, 'node-2', [[`src.addr=${visitorIp}:${localPort} `, 'error=']]);
    assert.match(line, /the client's certificate is refused/);
    await expectUnnoticed();
  });

  it('cuts who holds a revoked certificate, and lets nobody in with one', async () => {
    const { mesh } = opened;
    const { certPem, keyPem } = signer.leaf('spiffe://cluster.local/ns/default/sa/client');
    const host = await opened.podIp('server');
    const request = { ':method': 'CONNECT', ':authority': `${host}:7000` };
    const ask = (): Promise<PeerAnswer> =>
      visitor.ask({ host, port: 15008, tls: { certPem: certPem + signer.certPem, keyPem }, request });
    assert.equal((await ask()).response?.echoed, 'hello', 'it is good so far');
    signer.revoke(certPem);
    await mesh.client.create(kinds.ConfigMap, {
      metadata: { name: 'istio-ca-crl', namespace: 'istio-system' },
      data: { 'ca-crl.pem': signer.crl().toString() },
    });
    await eventually(
      async () => ((await ask()).response?.status === undefined ? true : undefined),
      'it is refused',
      60_000,
    );
    const rejections = (): Promise<number> =>
      metricSum(mesh, 'node-2', 'istio_crl_policy_rejections_total', ['reporter="destination"']);
    await eventually(async () => (await rejections()) >= 1, 'the rejection is counted');
    await accessLines(mesh, 'node-2', [['direction="inbound"', "the peer's certificate, serial", 'is revoked']]);
    await expectUnnoticed();
  });

  it('refuses broken material, naming the key of the Secret, and goes on with what it had', async () => {
    const { mesh } = opened;
    using other = openOpensslRoot('other');
    using narrow = next.intermediate('narrow', 'ec', 'basicConstraints=critical,CA:true,pathlen:0');
    using below = narrow.intermediate('below');
    const leaf = next.leaf('spiffe://cluster.local/ns/default/sa/client');
    const past = { ...systemClock, nowMs: () => Date.now() - 3 * 24 * 3600_000 };
    const ended = await createRoot({ clock: past, ttlDays: 1 });
    const before = await mesh.client.get(kinds.Secret, 'cacerts', 'istio-system');
    const cases: readonly (readonly [RegExp, Readonly<Record<string, string>>])[] = [
      [/ca-key\.pem is not the key of ca-cert\.pem/, { 'ca-key.pem': other.keyPem }],
      [
        /ca-cert\.pem is not the certificate of an authority/,
        { 'ca-cert.pem': leaf.certPem, 'ca-key.pem': leaf.keyPem },
      ],
      [
        /ca-cert\.pem cannot sign: ".*" ended at/,
        { 'ca-cert.pem': ended.certPem, 'ca-key.pem': ended.keyPem, 'root-cert.pem': ended.certPem },
      ],
      [
        /ca-cert\.pem signs what no peer takes: .*PATH_LENGTH_EXCEEDED/,
        {
          'ca-cert.pem': below.certPem,
          'ca-key.pem': below.keyPem,
          'cert-chain.pem': below.certPem + narrow.certPem,
        },
      ],
    ];
    for (const [said, files] of cases) {
      const counted = await refusals();
      const data = {
        ...before.data,
        ...Object.fromEntries(Object.entries(files).map(([name, text]) => [name, encode(text)])),
      };
      await mesh.client.patch(kinds.Secret, 'cacerts', 'istio-system', { data }, { type: 'merge' });
      const { message = '', involvedObject } = await refusal(said);
      assert.match(message, /; the last good material stays in force$/);
      assert.equal(involvedObject.name, 'cacerts');
      assert.ok(!message.includes('PRIVATE'));
      await eventually(async () => (await refusals()) > counted, 'the refusal is counted');
      assert.deepEqual(await publishedRoots(), [next.certPem.trim()]);
    }
    // A new identity is signed for all the same.
    await mesh.apply(
      JSON.stringify({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'late', namespace: 'default' } }),
    );
    assert.equal((await publishedRoots()).length, 1);
    await expectUnnoticed();
  });

  it('may be away: nobody notices, and certificates say when they end', async () => {
    const { mesh } = opened;
    const pid = (await control())?.pid ?? 0;
    assert.ok(pid > 0);
    process.kill(pid, 'SIGSTOP');
    try {
      await expectUnnoticed();
      await expectUnnoticed();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    const expiry = (identity: string): Promise<number> =>
      metricSum(mesh, 'node-2', 'ambit_certificate_expiry_timestamp_seconds', [
        'kind="workload"',
        `identity="${identity}"`,
      ]);
    const ends = await expiry('spiffe://cluster.local/ns/default/sa/server');
    assert.ok(Math.abs(ends - Date.now() / 1000 - 24 * 3600) < 3600, `${ends}`);
  });
});
