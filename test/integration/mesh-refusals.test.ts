/** Who asks the control plane for what is not theirs is refused, and told why; and the mesh lives on. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { kinds, type AuthorizationPolicy, type KubeStatus } from '../../src/api/index.ts';
import { spiffeId, type SpiffeId } from '../../src/api/names.ts';
import { createCsr } from '../../src/identity/index.ts';
import { isKubeError, loadKubeconfig, openKubeClient, type KubeClient } from '../../src/kube/index.ts';
import { silentLog } from '../../src/lib/log.ts';
import { converse, type Conversation } from '../support/conversation.ts';
import { programs, type TestMesh } from '../support/mesh.ts';
import type { CertificateAnswer, CertificateQuestion } from '../support/programs/certificate-caller.ts';
import { openRefusalsMesh, type RefusalsMesh } from '../support/refusals-mesh.ts';
import { eventually } from '../support/run.ts';

const clientId = spiffeId('cluster.local', 'default', 'client');
const serverId = spiffeId('cluster.local', 'default', 'server');

describe('refusals by the control plane', () => {
  let refusals: RefusalsMesh;
  let mesh: TestMesh;
  let folder: string;

  before(async () => {
    refusals = await openRefusalsMesh();
    ({ mesh } = refusals);
    folder = join(mesh.state, 'refusals');
    await mkdir(folder);
  });
  after(() => refusals?.[Symbol.asyncDispose]());
  afterEach(() => refusals.expectUnharmed());

  /** A token bound to a pod, as the pod itself would have it. */
  async function podToken(pod: string, audiences: readonly string[] = []): Promise<string> {
    const uid = (await mesh.pod('default', pod)).metadata.uid ?? '';
    const options = { audiences, expirationSeconds: 600, boundPod: { name: pod, uid } };
    return (await mesh.client.requestToken('default', pod, options)).token;
  }

  describe('by the certificate authority', () => {
    let authority: Conversation<CertificateQuestion, CertificateAnswer>;
    let ztunnelToken: string;

    before(async () => {
      const rootFile = join(folder, 'root-cert.pem');
      const root = await mesh.client.get(kinds.ConfigMap, 'istio-ca-root-cert', 'default');
      await writeFile(rootFile, root.data?.['root-cert.pem'] ?? '');
      ztunnelToken = await tokenFile(
        'ztunnel',
        await mesh.exec(await mesh.systemPod('ztunnel', 'node-1'), ['cat', '/var/run/secrets/tokens/istio-token']),
      );
      authority = converse(
        mesh.startOnNode('node-1', [
          process.execPath,
          join(programs, 'certificate-caller.ts'),
          'https://172.30.0.1:15012',
          'istiod.istio-system.svc',
          rootFile,
        ]),
      );
    });
    after(() => authority?.[Symbol.asyncDispose]());

    async function tokenFile(name: string, token: string): Promise<string> {
      const path = join(folder, `${name}-token`);
      await writeFile(path, token, { mode: 0o600 });
      return path;
    }

    const csrFor = (identity: SpiffeId): string => createCsr(identity).csrPem;

    async function expectRefusal(question: CertificateQuestion, code: string, message: RegExp): Promise<void> {
      const answer = await authority.ask(question);
      assert.ok('code' in answer, 'no certificate is issued');
      assert.equal(answer.code, code, answer.message);
      assert.match(answer.message, message);
    }

    async function expectCertificate(question: CertificateQuestion, identity: SpiffeId): Promise<void> {
      const answer = await authority.ask(question);
      assert.ok('chain' in answer, JSON.stringify(answer));
      const leaf = new X509Certificate(answer.chain[0] ?? '');
      assert.equal(leaf.subjectAltName, `URI:${identity}`);
    }

    it("signs for a pod of the caller's own node", () =>
      expectCertificate(
        { csrPem: csrFor(clientId), tokenPath: ztunnelToken, impersonatedIdentity: clientId },
        clientId,
      ));

    const broken = ((): string => {
      const lines = csrFor(clientId).split('\n');
      const der = Buffer.from(lines.slice(1, -2).join(''), 'base64');
      der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
      return `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
    })();
    for (const [what, csrPem, message] of [
      ['that is no PEM', 'please sign', /it is not a PKCS#10 request in PEM/],
      ['that is empty', '', /it is not a PKCS#10 request in PEM/],
      [
        'of garbage in PEM',
        `-----BEGIN CERTIFICATE REQUEST-----\n${Buffer.alloc(300, 0x30).toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`,
        /it is not a PKCS#10 request in PEM/,
      ],
      ['that its key did not sign', broken, /its signature does not fit its key/],
      ['of 1 MiB', 'A'.repeat(1024 * 1024), /it is longer than 16384 bytes/],
    ] as const) {
      it(`refuses a request ${what}`, () =>
        expectRefusal(
          { csrPem, tokenPath: ztunnelToken, impersonatedIdentity: clientId },
          'rpc.invalid-argument',
          message,
        ));
    }

    it('refuses a message that is none', () =>
      expectRefusal(
        { csrPem: '', tokenPath: ztunnelToken, rawMessage: Buffer.alloc(64, 0xff).toString('base64') },
        'rpc.internal',
        /deserializ/,
      ));

    it("refuses a node the identity of another node's pod, and says so in its log", async () => {
      const reason = 'no pod of "default/server" runs on node "node-1"';
      await expectRefusal(
        { csrPem: csrFor(serverId), tokenPath: ztunnelToken, impersonatedIdentity: serverId },
        'rpc.permission-denied',
        new RegExp(reason),
      );
      const isLogged = async (): Promise<boolean> => {
        const { stdout } = await mesh.ambit(['logs', 'control']);
        return stdout.split('\n').some((line) => line.includes('certificate refused') && line.includes('node-1'));
      };
      await eventually(isLogged, 'the log says so');
    });

    it('gives the identity that is granted, whatever the request itself names', () =>
      expectCertificate(
        { csrPem: csrFor(serverId), tokenPath: ztunnelToken, impersonatedIdentity: clientId },
        clientId,
      ));

    it('refuses another trust domain', async () => {
      const foreign = spiffeId('evil.example', 'default', 'client');
      await expectRefusal(
        { csrPem: csrFor(foreign), tokenPath: ztunnelToken, impersonatedIdentity: foreign },
        'rpc.permission-denied',
        /trust domain "evil.example" is not this mesh's "cluster.local"/,
      );
    });

    it('refuses an identity that is none', () =>
      expectRefusal(
        { csrPem: csrFor(clientId), tokenPath: ztunnelToken, impersonatedIdentity: 'spiffe://cluster.local/client' },
        'rpc.invalid-argument',
        /not a SPIFFE id/,
      ));

    it("gives a pod's token its own identity and no other", async () => {
      const tokenPath = await tokenFile('client', await podToken('client', ['istio-ca']));
      await expectCertificate({ csrPem: csrFor(clientId), tokenPath }, clientId);
      // Naming itself, as a proxy of a Gateway does, is no acting for others.
      await expectCertificate({ csrPem: csrFor(serverId), tokenPath, impersonatedIdentity: clientId }, clientId);
      await expectRefusal(
        { csrPem: csrFor(serverId), tokenPath, impersonatedIdentity: serverId },
        'rpc.permission-denied',
        /service account "default\/client" may not act for others/,
      );
    });

    it('refuses a caller without token, with a false one, and with one for another audience', async () => {
      const question = { csrPem: csrFor(clientId), impersonatedIdentity: clientId };
      await expectRefusal(question, 'rpc.unauthenticated', /carries no bearer token/);
      const falseToken = await tokenFile('false', 'eyJhbGciOiJub25lIn0.e30.');
      await expectRefusal({ ...question, tokenPath: falseToken }, 'rpc.unauthenticated', /the token is refused/);
      const apiToken = await tokenFile('api', await podToken('client'));
      await expectRefusal(
        { ...question, tokenPath: apiToken },
        'rpc.unauthenticated',
        /the token is refused: .*audience/,
      );
    });
  });

  describe('by the API server', () => {
    const policy = (name: string, spec: unknown): AuthorizationPolicy =>
      ({
        apiVersion: 'security.istio.io/v1',
        kind: 'AuthorizationPolicy',
        metadata: { name, namespace: 'default' },
        spec,
      }) as AuthorizationPolicy;
    const letEverybodyIn = policy('mine', { action: 'ALLOW', rules: [{}] });

    function clientWith(token: string): KubeClient {
      const { clientCertPem: _cert, clientKeyPem: _key, ...access } = loadKubeconfig(mesh.kubeconfig);
      return openKubeClient({ ...access, token: () => token }, { log: silentLog() });
    }

    async function refusalOf(work: Promise<unknown>): Promise<{ status: number; kubeStatus: KubeStatus | undefined }> {
      try {
        await work;
      } catch (error) {
        if (isKubeError(error)) return error;
        throw error;
      }
      assert.fail('the API server accepted it');
    }

    const stored = async (): Promise<string[]> =>
      (await mesh.client.list(kinds.AuthorizationPolicy)).items.map(({ metadata }) => metadata.name ?? '');

    it("refuses a pod's token that writes a policy, and takes the same from an admin", async () => {
      const client = clientWith(await podToken('client'));
      try {
        const { status, kubeStatus } = await refusalOf(client.create(kinds.AuthorizationPolicy, letEverybodyIn));
        assert.equal(status, 403);
        assert.equal(kubeStatus?.kind, 'Status');
        assert.equal(kubeStatus.reason, 'Forbidden');
        assert.match(
          kubeStatus.message ?? '',
          /authorizationpolicies\.security\.istio\.io .*User "system:serviceaccount:default:client" cannot create resource "authorizationpolicies" in API group "security\.istio\.io" in the namespace "default"/,
        );
        assert.deepEqual(await stored(), []);

        await mesh.client.create(kinds.AuthorizationPolicy, letEverybodyIn);
        assert.deepEqual(await stored(), ['mine']);
        const removal = await refusalOf(client.delete(kinds.AuthorizationPolicy, 'mine', 'default'));
        assert.equal(removal.status, 403);
        const patch = client.patch(
          kinds.AuthorizationPolicy,
          'mine',
          'default',
          { spec: { action: 'DENY' } },
          { type: 'merge' },
        );
        assert.equal((await refusalOf(patch)).status, 403);
        const kept = await mesh.client.get(kinds.AuthorizationPolicy, 'mine', 'default');
        assert.deepEqual(kept.spec, letEverybodyIn.spec);
      } finally {
        await client.close();
        await mesh.client.delete(kinds.AuthorizationPolicy, 'mine', 'default').catch(() => undefined);
      }
    });

    it("refuses a pod's token the key of the mesh and the tokens of others", async () => {
      const client = clientWith(await podToken('client'));
      try {
        const key = await refusalOf(client.get(kinds.Secret, 'istio-ca-secret', 'istio-system'));
        assert.equal(key.status, 403);
        const options = { audiences: ['istio-ca'], expirationSeconds: 600 };
        assert.equal((await refusalOf(client.requestToken('istio-system', 'ztunnel', options))).status, 403);
      } finally {
        await client.close();
      }
    });

    it('does not know a token for another audience, or none', async () => {
      for (const token of [await podToken('client', ['istio-ca']), 'not-a-token']) {
        const client = clientWith(token);
        try {
          const { status, kubeStatus } = await refusalOf(client.create(kinds.AuthorizationPolicy, letEverybodyIn));
          assert.equal(status, 401);
          assert.equal(kubeStatus?.reason, 'Unauthorized');
        } finally {
          await client.close();
        }
      }
      assert.deepEqual(await stored(), []);
    });

    it('refuses a policy with an invalid CIDR, and one with an unknown field, and names the path', async () => {
      const wrong = (source: object): AuthorizationPolicy =>
        policy('wrong', { action: 'ALLOW', rules: [{ from: [{ source }] }] });
      const invalid = wrong({ ipBlocks: ['10.0.0.0/40'] });
      const { status, kubeStatus } = await refusalOf(mesh.client.create(kinds.AuthorizationPolicy, invalid));
      assert.equal(status, 422);
      assert.equal(kubeStatus?.reason, 'Invalid');
      const causes = kubeStatus.details?.causes ?? [];
      assert.deepEqual(
        causes.map(({ field }) => field),
        ['spec.rules[0].from[0].source.ipBlocks[0]'],
      );
      assert.match(JSON.stringify(causes), /10\.0\.0\.0\/40/);

      // As kubectl asks; a client that does not gets a warning, and what is left of the rule is judged.
      const misspelt = wrong({ pricipals: ['*'], namespaces: ['default'] });
      const strict = { fieldValidation: 'Strict' } as const;
      const unknown = await refusalOf(mesh.client.create(kinds.AuthorizationPolicy, misspelt, strict));
      assert.equal(unknown.status, 400);
      assert.match(unknown.kubeStatus?.message ?? '', /unknown field "spec\.rules\[0\]\.from\[0\]\.source\.pricipals"/);
      const empty = wrong({ pricipals: ['*'] });
      assert.equal((await refusalOf(mesh.client.create(kinds.AuthorizationPolicy, empty))).status, 422);
      assert.deepEqual(await stored(), []);
    });
  });
});
