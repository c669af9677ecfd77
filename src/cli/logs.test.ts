import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { runCli } from './index.ts';
import { createTestContext } from './test-context.ts';

const pod = (name: string, more: { annotations?: Record<string, string>; phase?: string } = {}): object => ({
  metadata: { name, namespace: 'shop', annotations: more.annotations },
  spec: { nodeName: `node-of-${name}`, containers: [{ name: 'side' }, { name: 'istio-proxy' }] },
  status: { phase: more.phase ?? 'Running' },
});
const annotations = { 'kubectl.kubernetes.io/default-container': 'istio-proxy' };
const shop = '/api/v1/namespaces/shop/pods';
const waypoints = [pod('wp-1', { annotations }), pod('wp-2', { annotations }), pod('wp-3', { phase: 'Succeeded' })];

/** What the API answers. */
const objects: Readonly<Record<string, unknown>> = {
  [`${shop}/plain`]: pod('plain'),
  [`${shop}/ztunnel`]: pod('ztunnel'),
  [`${shop}?labelSelector=app%3Dwp`]: { metadata: {}, items: waypoints },
  '/apis/apps/v1/namespaces/shop/deployments/wp': {
    metadata: { name: 'wp', namespace: 'shop' },
    spec: { selector: { matchLabels: { app: 'wp' } }, template: {} },
  },
};

describe('ambit logs', () => {
  let home: string;
  let server: Server;
  before(async () => {
    home = mkdtempSync(join(tmpdir(), 'ambit-logs-'));
    server = createServer((request, response) => {
      const url = new URL(request.url ?? '', 'http://api');
      const [, name] = /\/pods\/([^/]+)\/log$/.exec(url.pathname) ?? [];
      if (name !== undefined) {
        // Each log says what was asked for, in two lines.
        response.end(`${name} ${url.searchParams.get('container')}\n${url.searchParams}\n`);
        return;
      }
      const selector = url.searchParams.get('labelSelector');
      const found =
        objects[selector === null ? url.pathname : `${url.pathname}?labelSelector=${encodeURIComponent(selector)}`];
      response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' });
      response.end(JSON.stringify(found ?? { kind: 'Status', status: 'Failure', code: 404, reason: 'NotFound' }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const kubeconfig = {
      clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}` } }],
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      users: [{ name: 'u', user: {} }],
      'current-context': 'c',
    };
    writeFileSync(join(home, 'kubeconfig'), JSON.stringify(kubeconfig));
  });
  after(() => {
    server.close();
    rmSync(home, { recursive: true });
  });

  const ambit = async (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> => {
    const context = createTestContext({ home, env: { KUBECONFIG: join(home, 'kubeconfig') } });
    const code = await runCli(['logs', ...args], context);
    return { code, stdout: context.stdout(), stderr: context.stderr() };
  };

  it('print a pod: its first container, or the one that is named', async () => {
    assert.deepEqual(await ambit('-n', 'shop', 'plain'), {
      code: 0,
      stdout: 'plain side\ncontainer=side\n',
      stderr: '',
    });
    const named = await ambit('-n', 'shop', 'pod/plain', '-c', 'istio-proxy', '--tail', '7', '-f');
    assert.equal(named.stdout, 'plain istio-proxy\ncontainer=istio-proxy&follow=true&tailLines=7\n');
    assert.equal((await ambit('-n', 'shop', 'pod/ztunnel')).stdout, 'ztunnel side\ncontainer=side\n');
  });

  it('print all pods of a Deployment that run, each line with its pod', async () => {
    const { stdout } = await ambit('-n', 'shop', 'deploy/wp');
    const line = 'container=istio-proxy';
    assert.deepEqual(stdout.split('\n').toSorted(), [
      '',
      `[wp-1] ${line}`,
      '[wp-1] wp-1 istio-proxy',
      `[wp-2] ${line}`,
      '[wp-2] wp-2 istio-proxy',
    ]);
    const one = await ambit('-n', 'shop', 'deploy/wp', '--node', 'node-of-wp-2');
    assert.equal(one.stdout, `wp-2 istio-proxy\n${line}\n`);
  });

  it('say what is not there', async () => {
    const { code, stderr } = await ambit('-n', 'shop', 'gone');
    assert.equal(code, 1);
    assert.match(stderr, /^ambit: No pod "gone" in namespace "shop": .*; components are control, ztunnel, .*\n$/);
    assert.match(
      (await ambit('deploy/gone')).stderr,
      /^ambit: No deploy "gone" in namespace "default": see 'kubectl get deploy -A'\n$/,
    );
    const { stderr: noContainer } = await ambit('-n', 'shop', 'plain', '-c', 'x');
    assert.equal(noContainer, 'ambit: No container "x" in pod "plain": it has side, istio-proxy\n');
    assert.match((await ambit('-n', 'shop', 'plain', '--node', 'n9')).stderr, /No plain pod on node "n9"/);
  });

  const texts: readonly (readonly [text: string, tail: number, printed: string])[] = [
    ['', 2, ''],
    ['a\n', 2, 'a\n'],
    ['a\nb\nc\n', 2, 'b\nc\n'],
    ['a\nb\nc', 2, 'b\nc'],
    ['a\nb\nc\n', 3, 'a\nb\nc\n'],
    ['a\n\n\n', 1, '\n'],
    [`${'x'.repeat(70_000)}\n`.repeat(4), 1, `${'x'.repeat(70_000)}\n`],
  ];
  for (const [index, [text, tail, printed]] of texts.entries()) {
    it(`print the last lines of a file: ${JSON.stringify(text.slice(0, 10))}, ${tail}`, async () => {
      const state = join(home, `state-${index}`);
      mkdirSync(join(state, 'logs'), { recursive: true });
      writeFileSync(join(state, 'logs/apiserver.log'), text);
      const { stdout } = await ambit('apiserver', '--state', state, '--tail', String(tail));
      assert.equal(stdout, printed);
    });
  }
});
