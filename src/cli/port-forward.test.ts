import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openFakeApi, sendJson, sendStatus } from '../kube/fake-api.ts';
import { runCli } from './index.ts';
import { createTestContext } from './test-context.ts';

const pod = {
  metadata: { name: 'web-1', namespace: 'default' },
  spec: { containers: [{ name: 'main', ports: [{ name: 'http', containerPort: 8080 }, { containerPort: 9090 }] }] },
  status: { phase: 'Running' },
};
const objects: Readonly<Record<string, unknown>> = {
  '/api/v1/namespaces/default/pods': { metadata: {}, items: [pod] },
  '/api/v1/namespaces/default/pods/web-1': pod,
  '/api/v1/namespaces/default/services/web': {
    metadata: { name: 'web', namespace: 'default' },
    spec: { selector: { app: 'web' }, ports: [{ port: 80, name: 'http', targetPort: 8080 }, { port: 81 }] },
  },
};

test('a port that is not there is refused, naming those that there are', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-forward-'));
  t.after(() => rmSync(folder, { recursive: true }));
  await using api = await openFakeApi();
  api.handle((request, response) => {
    const found = objects[new URL(request.url ?? '', api.url).pathname];
    return found ? sendJson(response, 200, found) : sendStatus(response, 404, 'NotFound', 'no');
  });
  const kubeconfig = join(folder, 'config');
  const config = {
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server: api.url } }],
    users: [{ name: 'u', user: {} }],
  };
  writeFileSync(kubeconfig, JSON.stringify(config));
  for (const [target, port, said] of [
    ['svc/web', '99', 'No port "99" in svc/web: it has 80 (http), 81'],
    ['web-1', 'https', 'No port "https" in pod/web-1: it has http'],
    ['svc/none', '80', `No svc "none" in namespace "default": see 'kubectl get svc -A'`],
  ] as const) {
    const context = createTestContext({ env: { KUBECONFIG: kubeconfig } });
    assert.equal(await runCli(['port-forward', target, `:${port}`], context), 1);
    assert.equal(context.stderr(), `ambit: ${said}\n`);
  }
});
