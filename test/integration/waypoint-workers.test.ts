/** A waypoint of several workers: deployed as a ProxyConfig says, with one certificate, one configuration and one rate limit for all. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { kinds } from '../../src/api/index.ts';
import { openL7Mesh, type HttpAnswer, type L7Mesh } from '../support/l7-mesh.ts';
import { eventually } from '../support/run.ts';

const app = [{ group: '', kind: 'Service', name: 'app' }];

describe('a waypoint of several workers', () => {
  let l7: L7Mesh;

  before(async () => {
    l7 = await openL7Mesh();
    await l7.apply({
      apiVersion: 'networking.istio.io/v1beta1',
      kind: 'ProxyConfig',
      metadata: { name: 'two', namespace: 'shop' },
      spec: {
        selector: { matchLabels: { 'gateway.networking.k8s.io/gateway-name': 'waypoint' } },
        concurrency: 2,
      },
    });
    // The proxy of before has ended as well: whatever is counted is the workers'.
    await eventually(async () => {
      const metrics = await Promise.all((await waypoints()).map((ip) => metricsOf(ip)));
      return metrics.length === 1 && /^ambit_proxy_workers 2$/m.test(metrics[0] ?? '');
    }, 'the waypoint has two workers');
  });
  after(() => l7?.[Symbol.asyncDispose]());

  const waypoints = async (): Promise<string[]> => {
    const { items } = await l7.mesh.client.list(kinds.Pod, {
      namespace: 'shop',
      labelSelector: 'gateway.networking.k8s.io/gateway-name=waypoint',
    });
    return items.flatMap(({ status }) => status?.podIP ?? []);
  };
  const metricsOf = (ip: string): Promise<string> => {
    const host = ip.includes(':') ? `[${ip}]` : ip;
    const script = `fetch("http://${host}:15020/metrics").then((r) => r.text()).then((t) => process.stdout.write(t))`;
    return l7.mesh.exec('shop/app-v1', [process.execPath, '-e', script]);
  };
  const sum = async (metric: string, label = ''): Promise<number> => {
    const [ip = ''] = await waypoints();
    const lines = (await metricsOf(ip)).split('\n').filter((line) => line.startsWith(metric) && line.includes(label));
    return lines.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  };
  const clients = ['front/client', 'front/stranger'];
  const fromAll = async (url: string, times: number): Promise<HttpAnswer[]> =>
    (await Promise.all(clients.map((client) => l7.send(client, { url, times })))).flat();

  it('serves clients of all nodes, and counts them once', async () => {
    await eventually(
      async () => (await fromAll('http://app.shop/', 1)).every(({ status }) => status === 200),
      'both nodes reach the waypoint',
    );
    const counted = (wanted: number): Promise<true> =>
      eventually(async () => {
        const found = await sum('istio_requests_total{', 'response_code="418"');
        return found === wanted || undefined;
      }, `${wanted} requests are counted`);
    // What is counted twice is never so many.
    for (const [times, wanted] of [
      [1, 2],
      [24, 50],
    ] as const) {
      const answers = await fromAll('http://app.shop/status/418', times);
      assert.deepEqual(
        answers.filter(({ status, headers }) => status !== 418 || headers['server'] !== 'istio-envoy'),
        [],
      );
      await counted(wanted);
    }
    assert.equal(await sum('ambit_proxy_worker_deaths_total'), 0);
  });

  it('has one rate limit for all, and a policy in all once its status says so', async () => {
    await l7.apply({
      apiVersion: 'policy.ambit.dev/v1alpha1',
      kind: 'RateLimit',
      metadata: { name: 'five', namespace: 'shop' },
      spec: {
        targetRefs: app,
        limits: [
          {
            name: 'five',
            matches: [{ path: { type: 'PathPrefix', value: '/limited' } }],
            local: { requests: 5, unit: 'Hour' },
          },
        ],
      },
    });
    // Told to all workers, or it would not say so.
    await eventually(async () => {
      const { status } = await l7.mesh.client.get(kinds.RateLimit, 'five', 'shop');
      return status?.conditions?.some((one) => one.type === 'Reconciled' && one.status === 'True');
    }, 'the waypoint has the rate limit');
    const statuses = (await fromAll('http://app.shop/limited', 10)).map(({ status }) => status);
    assert.deepEqual(
      [200, 429].map((wanted) => statuses.filter((status) => status === wanted).length),
      [5, 15],
    );
  });

  it('shows one configuration, with the hosts of all', async () => {
    const { code, stdout, stderr } = await l7.mesh.ambit([
      'proxy-config',
      'all',
      'waypoint',
      '-n',
      'shop',
      '-o',
      'json',
    ]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /"concurrency":\s*2/);
    assert.match(stdout, /app\.shop\.svc\.cluster\.local/);
  });
});
