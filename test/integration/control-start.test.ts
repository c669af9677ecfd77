/** A control plane before it is ready: what changes meanwhile is not lost. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { kinds } from '../../src/api/index.ts';
import { createRoot } from '../../src/ca/index.ts';
import { startControl } from '../../src/control/index.ts';
import { openKubeClient, type KubeClient } from '../../src/kube/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { startApiServer } from '../../src/local/apiserver/index.ts';
import { applyManifests, readManifests } from '../../src/local/mesh/manifests.ts';
import { eventually } from '../support/run.ts';

const rolesFile = join(import.meta.dirname, '../../charts/ambit/files/roles.yaml');
const namespace = 'istio-system';
const log = silentLog();
const tokens = [
  { token: 'admin-token-of-this-test', user: 'ambit:admin', groups: ['system:masters'] },
  {
    token: 'istiod-token-of-this-test',
    user: `system:serviceaccount:${namespace}:istiod`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`],
  },
] as const;
const encode = (text: string): string => Buffer.from(text).toString('base64');

it('publishes the roots of an authority that changes while the control plane starts', async () => {
  await using ends = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'ambit-control-start-'));
  ends.defer(() => rmSync(directory, { recursive: true }));
  mkdirSync(join(directory, 'pki'));
  const tokensFile = join(directory, 'pki/tokens.json');
  writeFileSync(tokensFile, JSON.stringify(tokens));
  const api = await startApiServer({
    stateDir: directory,
    listen: { host: '127.0.0.1', port: 0 },
    tokensFile,
    nodeSocket: (node) => join(directory, node),
    log,
  });
  ends.defer(() => api.close());
  const openClient = (token: string): KubeClient => {
    const server = `https://127.0.0.1:${api.port}`;
    const access = { server, caPem: api.caPem, insecureSkipTlsVerify: false, token: () => token, namespace: 'default' };
    const client = openKubeClient(access, { log });
    ends.defer(() => client.close());
    return client;
  };
  const admin = openClient(tokens[0].token);
  for (const name of [namespace, 'shop']) await admin.create(kinds.Namespace, { metadata: { name } });
  await applyManifests(admin, readManifests([rolesFile]));

  // It is not ready before it has told the other replicas of itself, which takes as long as the test likes.
  const client = openClient(tokens[1].token);
  const create = client.create.bind(client) as (...args: unknown[]) => Promise<never>;
  const mayTell = Promise.withResolvers<void>();
  const slow: KubeClient['create'] = async (kind, object, ...rest) => {
    if (object.metadata.name?.startsWith('istiod-replica-')) await mayTell.promise;
    return create(kind, object, ...rest);
  };
  Object.assign(client, { create: slow });
  const stop = new AbortController();
  let isReady = false;
  const starting = startControl({
    client,
    listen: { host: '127.0.0.1', port: 0 },
    webhook: { host: '127.0.0.1', port: 0 },
    monitoring: { host: '127.0.0.1', port: 0 },
    servingIps: ['127.0.0.1'],
    identity: 'istiod-1',
    log,
    signal: stop.signal,
  });
  ends.defer(async () => {
    mayTell.resolve();
    stop.abort();
    await (
      await starting
    ).done;
  });
  void starting.then(() => (isReady = true));

  const roots = async (): Promise<string | undefined> =>
    (await admin.get(kinds.ConfigMap, 'istio-ca-root-cert', 'shop')).data?.['root-cert.pem'];
  await eventually(roots, 'the first root is published');
  const { certPem, keyPem } = await createRoot({ clock: systemClock });
  await admin.create(kinds.Secret, {
    metadata: { name: 'cacerts', namespace },
    data: {
      'ca-cert.pem': encode(certPem),
      'ca-key.pem': encode(keyPem),
      'cert-chain.pem': encode(certPem),
      'root-cert.pem': encode(certPem),
    },
  });
  await eventually(async () => (await roots())?.includes(certPem.trim()), 'the next root is published as well');
  assert.equal(isReady, false);
});
