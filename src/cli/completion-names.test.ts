import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { openFakeApi, sendJson, sendStatus, type FakeApi } from '../kube/fake-api.ts';
import { runCli } from './index.ts';
import { createTestContext } from './test-context.ts';

interface Listed {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
}

const gatewayName = 'gateway.networking.k8s.io/gateway-name';
const pod = (name: string, namespace: string, labels: Readonly<Record<string, string>> = {}): Listed => ({
  metadata: { name, namespace, labels },
});
const objects: Readonly<Record<string, readonly Listed[]>> = {
  '/api/v1/nodes': [{ metadata: { name: 'node-2' } }, { metadata: { name: 'node-1' } }],
  '/api/v1/namespaces': [{ metadata: { name: 'default' } }, { metadata: { name: 'shop' } }],
  '/api/v1/pods': [
    pod('web', 'default'),
    pod('$(reboot)', 'default'),
    pod('db', 'shop'),
    pod('wp-x2', 'shop', { [gatewayName]: 'wp' }),
    pod('ztunnel-a', 'istio-system', { app: 'ztunnel' }),
  ],
  '/api/v1/namespaces/istio-system/pods': [
    pod('istiod-1', 'istio-system'),
    pod('ztunnel-a', 'istio-system', { app: 'ztunnel' }),
  ],
  '/api/v1/namespaces/default/pods': [pod('web', 'default')],
  '/api/v1/namespaces/shop/pods': [pod('db', 'shop')],
  '/api/v1/namespaces/shop/services': [{ metadata: { name: 'reviews' } }],
  '/apis/apps/v1/namespaces/shop/deployments': [{ metadata: { name: 'api' } }],
  '/apis/gateway.networking.k8s.io/v1/namespaces/shop/gateways': [{ metadata: { name: 'wp' } }],
};

describe('completion of names', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-names-'));
  const kubeconfig = join(folder, 'config');
  let api: FakeApi;
  before(async () => {
    api = await openFakeApi();
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        'current-context': 'c',
        contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
        clusters: [{ name: 'c', cluster: { server: api.url } }],
        users: [{ name: 'u', user: {} }],
      }),
    );
    api.handle((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '', api.url);
      if (pathname === '/api/v1/namespaces/shop/pods/db') {
        return sendJson(response, 200, {
          ...pod('db', 'shop'),
          spec: { containers: [{ name: 'main' }, { name: 'log' }] },
        });
      }
      const items = objects[pathname];
      if (!items) return sendStatus(response, 403, 'Forbidden', 'no');
      const label = searchParams.get('labelSelector');
      const found = items.filter(({ metadata }) => label === null || metadata.labels?.[label] !== undefined);
      sendJson(response, 200, { metadata: { resourceVersion: '1' }, items: found });
    });
  });
  after(async () => {
    await api[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  /** What is offered that is no option. */
  const names = async (...words: string[]): Promise<string[]> => {
    const context = createTestContext({ env: { KUBECONFIG: kubeconfig } });
    assert.equal(await runCli(['complete', '--', ...words], context), 0);
    assert.equal(context.stderr(), '');
    return context
      .stdout()
      .split('\n')
      .slice(0, -1)
      .filter((word) => !word.startsWith('-'));
  };

  it('offers nodes and namespaces where an option wants one', async () => {
    assert.deepEqual(await names('zc', 'workloads', '--node'), ['node-1', 'node-2']);
    assert.deepEqual(await names('exec', '-n'), ['default', 'shop']);
    assert.deepEqual(await names('zc', 'all', '-o'), ['table', 'wide', 'json', 'yaml']);
  });

  it('offers pods of the namespace of the line, and Deployments and Services as they are written', async () => {
    assert.deepEqual(await names('exec'), ['web']);
    assert.deepEqual(await names('exec', '-n', 'shop'), ['db', 'deploy/api']);
    assert.deepEqual(await names('port-forward', '--namespace=shop'), ['db', 'deploy/api', 'svc/reviews']);
    assert.deepEqual(await names('port-forward', '-n', 'shop', 'db'), []);
    assert.deepEqual(await names('exec', 'db', '-n', 'shop', '-c'), ['main', 'log'].toSorted());
    assert.ok((await names('logs')).includes('web') && (await names('logs')).includes('ztunnel'));
    assert.deepEqual(await names('explain', '-n', 'shop', '--from'), ['db', 'deploy/api']);
    assert.deepEqual(await names('explain', '-n', 'shop', '--to'), ['reviews']);
  });

  it('offers ztunnels and proxies where those are meant', async () => {
    assert.deepEqual(await names('zc', 'cons'), ['db.shop', 'web.default', 'wp-x2.shop', 'ztunnel-a'].toSorted());
    assert.deepEqual(await names('proxy-config', 'routes', '-n', 'shop'), ['wp', 'wp-x2', 'wp-x2.shop', 'wp.shop']);
    assert.deepEqual(await names('ps'), ['wp-x2.shop', 'wp.shop', 'ztunnel-a.istio-system']);
    assert.deepEqual(await names('waypoint', 'delete', '-n', 'shop'), ['wp']);
  });

  it('offers the rest at once where there is no cluster, and where it does not answer', async () => {
    const offered = async (env: Record<string, string>): Promise<string> => {
      const context = createTestContext({ env });
      assert.equal(await runCli(['complete', '--', 'zc', 'all'], context), 0);
      assert.equal(context.stderr(), '');
      return context.stdout();
    };
    for (const env of [{}, { KUBECONFIG: join(folder, 'absent') }]) assert.match(await offered(env), /^--node$/m);
    const silent = await openFakeApi();
    silent.handle(() => {});
    const config = join(folder, 'silent');
    writeFileSync(
      config,
      JSON.stringify({
        'current-context': 'c',
        contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
        clusters: [{ name: 'c', cluster: { server: silent.url } }],
        users: [{ name: 'u', user: {} }],
      }),
    );
    try {
      assert.match(await offered({ KUBECONFIG: config }), /^--node$/m);
      assert.equal(silent.seen.length, 1, 'it was asked once');
    } finally {
      await silent[Symbol.asyncDispose]();
    }
  });
});
