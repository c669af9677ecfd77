/** The authority of a mesh becomes another one: requests pass a waypoint all the time, also where its ztunnels and it meet anew. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { kinds, systemNamespace } from '../../src/api/index.ts';
import { openL7Mesh, type HttpAnswer, type L7Mesh } from '../support/l7-mesh.ts';
import { openOpensslRoot, type OpensslAuthority } from '../support/openssl-authority.ts';
import { eventually } from '../support/run.ts';

const skip = spawnSync('openssl', ['version']).status !== 0;
const encode = (text: string): string => Buffer.from(text).toString('base64');
const serialOf = (pem: string): string => new X509Certificate(pem).serialNumber.toLowerCase();

interface DumpedCertificate {
  /** Base64 of PEM, the leaf's first. */
  readonly certChain: readonly { readonly pem: string }[];
  readonly rootCerts: readonly { readonly pem: string }[];
}

describe('a waypoint whose mesh gets another authority', { skip }, () => {
  let l7: L7Mesh;
  let root: OpensslAuthority;
  let signer: OpensslAuthority;

  before(async () => {
    l7 = await openL7Mesh();
    root = openOpensslRoot('next');
    signer = root.intermediate('signer');
  });
  after(async () => {
    await l7?.[Symbol.asyncDispose]();
    signer?.[Symbol.dispose]();
    root?.[Symbol.dispose]();
  });

  const dumped = async (...args: readonly string[]): Promise<DumpedCertificate[]> => {
    const { code, stdout, stderr } = await l7.mesh.ambit([...args, '-o', 'json']);
    assert.equal(code, 0, stderr);
    const dumps = JSON.parse(stdout) as { readonly certificates: readonly DumpedCertificate[] }[];
    const certificates = dumps.flatMap((dump) => dump.certificates);
    assert.ok(certificates.length > 0, stdout.slice(0, 500));
    return certificates;
  };
  const ofZtunnels = (): Promise<DumpedCertificate[]> => dumped('ztunnel-config', 'all');
  const ofWaypoint = (): Promise<DumpedCertificate[]> => dumped('proxy-config', 'all', 'waypoint', '-n', 'shop');
  const serial = ({ pem }: { readonly pem: string }): string => serialOf(Buffer.from(pem, 'base64').toString());
  /** Leaf, and the new signer as its intermediate. */
  const isSigned = (all: readonly DumpedCertificate[]): boolean =>
    all.every(
      ({ certChain }) => certChain.length === 2 && certChain[1] && serial(certChain[1]) === serialOf(signer.certPem),
    );
  const rootsOf = (all: readonly DumpedCertificate[]): string[][] => all.map(({ rootCerts }) => rootCerts.map(serial));
  const metric = async (name: string): Promise<string> => {
    const { items } = await l7.mesh.client.list(kinds.Pod, {
      namespace: 'shop',
      labelSelector: 'gateway.networking.k8s.io/gateway-name=waypoint',
    });
    const ip = items[0]?.status?.podIP ?? '';
    const script = `fetch("http://${ip.includes(':') ? `[${ip}]` : ip}:15020/metrics").then((r) => r.text()).then((t) => process.stdout.write(t))`;
    const text = await l7.mesh.exec('shop/app-v1', [process.execPath, '-e', script]);
    return text
      .split('\n')
      .filter((line) => line.startsWith(name))
      .join('\n');
  };

  it('trusts both roots and takes up the new signer with the ztunnels, and no request fails', async () => {
    await l7.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name: 'cacerts',
        namespace: systemNamespace,
        annotations: { 'ambit.io/root-introduction': '60s' },
      },
      data: {
        'ca-cert.pem': encode(signer.certPem),
        'ca-key.pem': encode(signer.keyPem),
        'cert-chain.pem': encode(signer.certPem),
        'root-cert.pem': encode(root.certPem),
      },
    });
    const answers: HttpAnswer[] = [];
    const churn = async (): Promise<void> => {
      answers.push(...(await l7.send('front/client', { url: 'http://app.shop/', times: 20 })));
    };
    await eventually(
      async () => {
        await churn();
        return rootsOf(await ofWaypoint()).every((roots) => roots.length === 2);
      },
      'the waypoint trusts both roots',
      180_000,
    );
    await eventually(
      async () => {
        await churn();
        return isSigned(await ofZtunnels()) && isSigned(await ofWaypoint());
      },
      'the new signer signs for ztunnels and waypoint',
      240_000,
    );
    // Whoever has not been here yet meets the waypoint for the first time, and it the application's ztunnel.
    answers.push(...(await l7.send('front/stranger', { url: 'http://app-v1.shop/' }, { url: 'http://app-v2.shop/' })));
    assert.deepEqual(
      answers.filter(({ status }) => status !== 200),
      [],
    );
  });

  it('lets the old root go with the others', async () => {
    await l7.mesh.client.patch(
      kinds.Secret,
      'cacerts',
      systemNamespace,
      { metadata: { annotations: { 'ambit.io/root-introduction': '0s' } } },
      { type: 'merge' },
    );
    for (const [what, read] of [
      ['the waypoint', ofWaypoint],
      ['ztunnels', ofZtunnels],
    ] as const) {
      await eventually(
        async () => {
          const all = rootsOf(await read());
          return all.every((roots) => roots.length === 1 && roots[0] === serialOf(root.certPem));
        },
        `the new root alone is trusted by ${what}`,
        180_000,
      );
    }
    const answers = await l7.send('front/client', { url: 'http://app.shop/', times: 20 });
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  });

  it('says in its metrics when its certificate and the roots end', async () => {
    const text = await metric('ambit_certificate_expiry_timestamp_seconds');
    assert.match(text, /kind="workload",identity="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/waypoint"/);
    assert.match(text, new RegExp(`kind="root",identity="",serial="${serialOf(root.certPem)}"`));
  });
});
