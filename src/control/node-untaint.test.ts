import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import type { Node } from '../api/index.ts';
import { openFakeApi, sendJson } from '../kube/fake-api.ts';
import { openKubeClient } from '../kube/index.ts';
import { silentLog } from '../lib/log.ts';
import { notReadyTaint, startNodeUntaint } from './node-untaint.ts';

const initialEventsEnd = { 'k8s.io/initial-events-end': 'true' };

const agent = (node: string, ready: 'True' | 'False'): object => ({
  metadata: { name: `istio-cni-node-${node}`, namespace: 'istio-system', uid: node, resourceVersion: '1' },
  spec: { nodeName: node, containers: [] },
  status: { conditions: [{ type: 'Ready', status: ready }] },
});

test('nodes with a ready agent lose the taint, others keep it, and other taints stay', async () => {
  await using api = await openFakeApi();
  const patches: { path: string; body: unknown }[] = [];
  let patched = (): void => {};
  const done = new Promise<void>((resolve) => (patched = resolve));
  api.handle((request, response, body) => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    const query = new URL(request.url ?? '', 'http://x').searchParams;
    if (request.method === 'PATCH') {
      patches.push({ path, body: JSON.parse(body) });
      sendJson(response, 200, {});
      return patched();
    }
    if (path.endsWith('/nodes/node-1')) {
      const taints = [
        { key: notReadyTaint, effect: 'NoSchedule' },
        { key: 'other', effect: 'NoSchedule' },
      ];
      const node: Node = {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name: 'node-1', resourceVersion: '7' },
        spec: { taints },
      } as Node;
      return sendJson(response, 200, node);
    }
    equal(path, '/api/v1/namespaces/istio-system/pods');
    equal(query.get('labelSelector'), 'k8s-app=istio-cni-node');
    // The list as a stream, which then stays open.
    equal(query.get('sendInitialEvents'), 'true');
    const lines = [
      ...[agent('node-1', 'True'), agent('node-2', 'False')].map((object) => ({ type: 'ADDED', object })),
      { type: 'BOOKMARK', object: { metadata: { resourceVersion: '1', annotations: initialEventsEnd } } },
    ];
    response.writeHead(200, { 'content-type': 'application/json' });
    for (const line of lines) response.write(`${JSON.stringify(line)}\n`);
  });
  const stop = new AbortController();
  const access = { server: api.url, insecureSkipTlsVerify: false, namespace: 'default' };
  const client = openKubeClient(access, { log: silentLog() });
  startNodeUntaint({
    client,
    namespace: 'istio-system',
    isLeader: () => true,
    signal: stop.signal,
    log: silentLog(),
  });
  await done;
  stop.abort();
  await client.close();
  deepEqual(patches[0], {
    path: '/api/v1/nodes/node-1',
    body: { metadata: { resourceVersion: '7' }, spec: { taints: [{ key: 'other', effect: 'NoSchedule' }] } },
  });
  equal(
    api.seen.some((line) => line.includes('node-2')),
    false,
  );
});
