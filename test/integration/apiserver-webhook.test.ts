/** Validating webhooks, as the embedded API server calls them: a webhook server of the test's own, on loopback. */
import { deepEqual, equal, match, rejects } from 'node:assert/strict';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import {
  kinds,
  type AdmissionRequest,
  type AdmissionResponse,
  type ConfigMap,
  type ValidatingWebhook,
} from '../../src/api/index.ts';
import { loadKubeconfig, openKubeClient, type KubeClient } from '../../src/kube/index.ts';
import { silentLog } from '../../src/lib/log.ts';
import { createTestAuthority } from '../support/certificates.ts';
import { createState, removeState, startServerProcess, type ServerProcess } from './apiserver-process.ts';

type Verdict = Omit<AdmissionResponse, 'uid'>;

describe('validating webhooks', () => {
  let stateDir: string;
  let server: ServerProcess;
  let client: KubeClient;
  let hook: Server;
  let caBundle: string;
  /** What the webhook was asked, and what it answers; undefined: nothing at all. */
  const asked: AdmissionRequest[] = [];
  let verdict: (request: AdmissionRequest) => Verdict | undefined | Promise<Verdict | undefined>;

  before(async () => {
    const authority = await createTestAuthority();
    caBundle = Buffer.from(authority.rootPem).toString('base64');
    const { chainPem, keyPem } = await authority.signServer({ dnsNames: ['hook.default.svc'], ips: ['127.0.0.1'] });
    hook = createServer({ cert: chainPem, key: keyPem }, (request, response) => {
      let text = '';
      request.setEncoding('utf8');
      request.on('data', (chunk: string) => (text += chunk));
      request.on('end', () => {
        const review = JSON.parse(text) as { apiVersion: string; kind: string; request: AdmissionRequest };
        asked.push(review.request);
        void Promise.resolve(verdict(review.request)).then((answer) => {
          if (!answer) return response.destroy();
          const body = { ...review, request: undefined, response: { uid: review.request.uid, ...answer } };
          return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
        });
      });
    });
    await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
    stateDir = createState();
    // Nobody else writes ConfigMaps.
    server = await startServerProcess(stateDir, { controllers: false });
    client = openKubeClient(loadKubeconfig(server.kubeconfig), { log: silentLog() });
  });
  after(async () => {
    await client.close();
    await server.end('SIGTERM');
    hook.closeAllConnections();
    hook.close();
    removeState(stateDir);
  });
  beforeEach(async () => {
    asked.length = 0;
    verdict = () => ({ allowed: true });
    await register();
    for (const { metadata } of (await client.list(kinds.ConfigMap, { namespace: 'default' })).items) {
      await client.delete(kinds.ConfigMap, metadata.name ?? '', 'default');
    }
    asked.length = 0;
  });

  const register = async (more: Partial<ValidatingWebhook> = {}): Promise<void> => {
    const { port } = hook.address() as AddressInfo;
    const webhook = {
      name: 'config.hook.test',
      clientConfig: { url: `https://127.0.0.1:${port}/judge`, caBundle },
      rules: [{ operations: ['*'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }],
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
      timeoutSeconds: 30,
      ...more,
    };
    const configuration = {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: 'hook' },
      webhooks: [webhook],
    };
    const options = { type: 'apply', fieldManager: 'test', force: true } as const;
    await client.patch(kinds.ValidatingWebhookConfiguration, 'hook', undefined, configuration, options);
  };
  const configMap = (name: string, data: Record<string, string> = {}): ConfigMap => ({
    metadata: { name, namespace: 'default' },
    data,
  });
  const names = async (): Promise<(string | undefined)[]> =>
    (await client.list(kinds.ConfigMap, { namespace: 'default' })).items.map(({ metadata }) => metadata.name);

  test('every write is judged with what is and what will be, and a refusal stores nothing', async () => {
    verdict = ({ object }) =>
      (object as ConfigMap | null)?.data?.['bad'] === undefined
        ? { allowed: true }
        : { allowed: false, status: { message: 'bad is not good', code: 403, reason: 'Forbidden' } };
    await rejects(
      client.create(kinds.ConfigMap, configMap('a', { bad: 'x' })),
      (error: Error & { status?: number }) => {
        match(error.message, /admission webhook "config\.hook\.test" denied the request: bad is not good/);
        return error.status === 403;
      },
    );
    deepEqual(await names(), []);
    await client.create(kinds.ConfigMap, configMap('a', { good: '1' }));
    await rejects(
      client.patch(kinds.ConfigMap, 'a', 'default', { data: { bad: 'x' } }, { type: 'merge' }),
      /denied the request/,
    );
    await client.patch(kinds.ConfigMap, 'a', 'default', { data: { good: '2' } }, { type: 'merge' });
    await client.delete(kinds.ConfigMap, 'a', 'default');
    deepEqual(
      asked.map(({ operation, name, namespace }) => `${operation} ${namespace}/${name}`),
      ['CREATE default/a', 'CREATE default/a', 'UPDATE default/a', 'UPDATE default/a', 'DELETE default/a'],
    );
    const update = asked[3];
    equal((update?.oldObject as ConfigMap | undefined)?.data?.['good'], '1');
    equal((update?.object as ConfigMap | undefined)?.data?.['good'], '2');
    equal(update?.userInfo.username, 'ambit:admin');
    equal(asked[4]?.object, null);
  });

  test('a webhook that cannot be asked refuses, or is ignored, as it says itself', async () => {
    verdict = () => undefined;
    await rejects(client.create(kinds.ConfigMap, configMap('a')), /failed calling webhook "config\.hook\.test"/);
    await register({ failurePolicy: 'Ignore' });
    await client.create(kinds.ConfigMap, configMap('a'));
    await register({ clientConfig: { service: { namespace: 'default', name: 'nobody' }, caBundle } });
    await rejects(client.create(kinds.ConfigMap, configMap('b')), /service \\?"nobody\\?" not found/);
    const foreign = await createTestAuthority();
    const { port } = hook.address() as AddressInfo;
    const strangers = Buffer.from(foreign.rootPem).toString('base64');
    await register({ clientConfig: { url: `https://127.0.0.1:${port}/`, caBundle: strangers } });
    await rejects(client.create(kinds.ConfigMap, configMap('b')), /failed to call webhook/);
    deepEqual(await names(), ['a']);
  });

  test('a webhook that is slow is given up, and others are served meanwhile', async () => {
    const isAsked = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<Verdict>();
    verdict = () => {
      isAsked.resolve();
      return gate.promise;
    };
    let isAnswered = false;
    const held = client.create(kinds.ConfigMap, configMap('held')).finally(() => (isAnswered = true));
    await isAsked.promise;
    await client.create(kinds.ServiceAccount, { metadata: { name: 'other', namespace: 'default' } });
    equal(isAnswered, false);
    gate.resolve({ allowed: true });
    await held;
    const never = Promise.withResolvers<Verdict>();
    verdict = () => never.promise;
    await register({ timeoutSeconds: 1 });
    await rejects(client.create(kinds.ConfigMap, configMap('slow')), /context deadline exceeded/);
    never.resolve({ allowed: true });
    deepEqual(await names(), ['held']);
  });

  test('a service without a ready endpoint is said to have none', async () => {
    await client.create(kinds.Service, {
      metadata: { name: 'hook', namespace: 'default' },
      spec: { ports: [{ port: 443, targetPort: 8443, name: 'https' }] },
    });
    await client.create(kinds.EndpointSlice, {
      metadata: { name: 'hook', namespace: 'default', labels: { 'kubernetes.io/service-name': 'hook' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['192.0.2.1'], conditions: { ready: false } }],
      ports: [{ name: 'https', port: 8443, protocol: 'TCP' }],
    });
    const service = { namespace: 'default', name: 'hook', path: '/x' };
    await register({ clientConfig: { service, caBundle } });
    await rejects(client.create(kinds.ConfigMap, configMap('a')), /no endpoints available for service/);
    await register({ clientConfig: { service: { ...service, port: 444 }, caBundle } });
    await rejects(client.create(kinds.ConfigMap, configMap('a')), /no service port 444 found/);
  });

  test('dry runs are judged as such, and refused where the webhook has side effects', async () => {
    await client.create(kinds.ConfigMap, configMap('dry'), { dryRun: true });
    equal(asked[0]?.dryRun, true);
    deepEqual(await names(), []);
  });

  test('a write that meets another one is judged again', async () => {
    await client.create(kinds.ConfigMap, configMap('a', { n: '0' }));
    let first = true;
    verdict = async ({ object }) => {
      if (first && (object as ConfigMap).data?.['mine'] !== undefined) {
        first = false;
        // Somebody else writes while the webhook thinks.
        await client.patch(kinds.ConfigMap, 'a', 'default', { data: { n: '1' } }, { type: 'merge' });
      }
      return { allowed: (object as ConfigMap).data?.['n'] !== '2' };
    };
    const written = await client.patch(kinds.ConfigMap, 'a', 'default', { data: { mine: 'x' } }, { type: 'merge' });
    deepEqual(written.data, { n: '1', mine: 'x' });
    deepEqual(
      asked.slice(1).map(({ object }) => (object as ConfigMap).data),
      [{ n: '0', mine: 'x' }, { n: '1' }, { n: '1', mine: 'x' }],
    );
  });

  test('nobody is asked about the registration of webhooks themselves', async () => {
    await register({
      rules: [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'] }],
    });
    verdict = () => ({ allowed: false });
    await client.delete(kinds.ValidatingWebhookConfiguration, 'hook');
    await client.create(kinds.ConfigMap, configMap('free'));
  });
});
