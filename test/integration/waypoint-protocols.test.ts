/** What else than HTTP/1.1 goes through a waypoint: gRPC, HTTP/2 on a port without a name, bytes, and bytes of who speaks second. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { httpService, openL7Mesh, type L7Mesh } from '../support/l7-mesh.ts';
import { documents, programPod, programs, serviceAccount } from '../support/mesh.ts';
import { eventually } from '../support/run.ts';

interface GrpcResult {
  readonly values: readonly string[];
  readonly code: number;
  readonly details: string;
  readonly trailers: Readonly<Record<string, unknown>>;
}

const pod = (name: string, node: string, program: string, args: string[], port: number): string =>
  programPod({ name, namespace: 'shop', node, program, args, port, labels: { group: name.split('-')[0] ?? '' } });

const manifests = documents(
  ...['grpc-1', 'grpc-2', 'echo'].map((name) => serviceAccount(name, 'shop')),
  pod('grpc-1', 'node-1', 'grpc-app.ts', ['9000', 'v1'], 9000),
  pod('grpc-2', 'node-2', 'grpc-app.ts', ['9000', 'v2'], 9000),
  pod('echo', 'node-2', 'echo-server.ts', ['7000'], 7000),
  httpService('grpc', { group: 'grpc' }, { name: 'grpc', port: 9000, targetPort: 9000 }),
  httpService('unnamed', { group: 'grpc' }, { port: 9000, targetPort: 9000 }),
  httpService('echo', { group: 'echo' }, { name: 'tcp', port: 7000, targetPort: 7000 }),
  httpService('unnamed-echo', { group: 'echo' }, { port: 7000, targetPort: 7000 }),
  httpService('unnamed-http', { group: 'app' }, { port: 80, targetPort: 8080 }),
);

describe('through a waypoint', () => {
  let l7: L7Mesh;

  before(async () => {
    l7 = await openL7Mesh({ manifests });
  });
  after(() => l7?.[Symbol.asyncDispose]());

  const call = async (target: string, calls: readonly object[]): Promise<GrpcResult[]> =>
    JSON.parse(
      await l7.mesh.exec('front/client', [
        process.execPath,
        join(programs, 'grpc-client.ts'),
        target,
        JSON.stringify(calls),
      ]),
    ) as GrpcResult[];

  const talk = async (host: string, text: string): Promise<string> => {
    const command = [process.execPath, join(programs, 'request.ts'), host, '7000', text, '10000'];
    return (JSON.parse(await l7.mesh.exec('front/client', command)) as { reply: string }).reply;
  };

  it('gRPC calls on one connection are spread over all pods, with statuses and trailers', async () => {
    const results = await call('grpc.shop:9000', [
      ...Array.from({ length: 20 }, (_, i) => ({ say: `hello ${i}` })),
      { say: 'fail 9' },
      { chat: ['a', 'b', 'c'] },
    ]);
    const versions = new Set(results.slice(0, 20).map(({ values }) => values[0]?.slice(0, 2)));
    assert.deepEqual(versions, new Set(['v1', 'v2']));
    assert.equal(results[20]?.code, 9);
    assert.match(results[20]?.details ?? '', /^asked to, by v[12]$/);
    const chat = results[21];
    assert.deepEqual(
      chat?.values.map((value) => value.slice(3)),
      ['a', 'b', 'c'],
    );
    assert.equal(chat?.trailers['x-count'], '3');
  });

  it('a GRPCRoute chooses by service, method and header', async () => {
    const route = {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'GRPCRoute',
      metadata: { name: 'under-test', namespace: 'shop' },
      spec: {
        parentRefs: [{ group: '', kind: 'Service', name: 'grpc' }],
        rules: [
          {
            matches: [{ method: { service: 'test.Echo', method: 'Chat' } }],
            backendRefs: [{ name: 'missing', port: 1 }],
          },
          { backendRefs: [{ name: 'grpc', port: 9000 }] },
        ],
      },
    };
    await l7.apply(route);
    try {
      const codes = await eventually(async () => {
        const results = await call('grpc.shop:9000', [{ chat: ['x'] }, { say: 'x' }]);
        return results[0]?.code !== 0 && results.map(({ code }) => code);
      }, 'the route acts');
      assert.deepEqual(codes, [14, 0]);
    } finally {
      await l7.remove(route);
    }
  });

  it('a port without a name is told by its first bytes: HTTP/2, HTTP/1.1 and neither', async () => {
    const [grpc] = await call('unnamed.shop:9000', [{ say: 'hello' }]);
    assert.match(grpc?.values[0] ?? '', /^v[12]:hello$/);
    const [http] = await l7.send('front/client', { url: 'http://unnamed-http.shop/x' });
    assert.deepEqual([http?.status, http?.headers['server']], [200, 'istio-envoy']);
    assert.equal(await talk('unnamed-echo.shop', 'neither of them\n'), 'neither of them\n');
  });

  it('bytes pass as they are on a port of TCP, also those that look like HTTP', async () => {
    const text = 'GET / HTTP/1.1\nthis is no header';
    assert.equal(await talk('echo.shop', text), text);
    const long = 'x'.repeat(5000);
    assert.equal(await talk('echo.shop', long), long);
  });

  it('an AuthorizationPolicy of a Service closes its TCP ports as well', async () => {
    const policy = {
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'under-test', namespace: 'shop' },
      spec: {
        targetRefs: [{ group: '', kind: 'Service', name: 'echo' }],
        action: 'DENY',
        rules: [{ from: [{ source: { namespaces: ['front'] } }] }],
      },
    };
    await l7.apply(policy);
    try {
      await eventually(async () => (await talk('echo.shop', 'x')) === '', 'the policy acts');
      assert.equal(await talk('unnamed-echo.shop', 'x'), 'x');
    } finally {
      await l7.remove(policy);
    }
  });
});
