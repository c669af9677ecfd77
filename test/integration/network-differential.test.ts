/**
 * What Services are given at admission, compared with Kubernetes' own API server. Runs where AMBIT_TEST_KUBERNETES names
 * the multi-call binary of the real server and etcd is installed.
 */
import { deepEqual } from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { send, startOracle, type Oracle } from './apiserver-oracle.ts';
import { createState, removeState, startServerProcess, type ServerProcess } from './apiserver-process.ts';

const binary = process.env['AMBIT_TEST_KUBERNETES'] ?? '';
const skip = binary === '' ? 'AMBIT_TEST_KUBERNETES does not name a real API server' : false;
const services = '/api/v1/namespaces/default/services';
const ports = [{ name: 'a', port: 80 }];

type Fields = Record<string, unknown>;

/** Specs that a Service has one after the other: the first is created, the others are merged or, with `replace`, put. */
const lives: Readonly<Record<string, readonly (Fields & { replace?: boolean })[]>> = {
  'a plain Service': [{ ports }, { ports: [{ name: 'a', port: 81 }], replace: true }],
  'IPv6 alone': [{ ports, ipFamilies: ['IPv6'] }, { ipFamilies: ['IPv4'] }],
  'both families, then one, then both': [
    { ports, ipFamilyPolicy: 'PreferDualStack' },
    { ports, replace: true },
    { ipFamilyPolicy: 'SingleStack' },
    { ipFamilyPolicy: 'RequireDualStack' },
  ],
  'two families without a policy': [{ ports, ipFamilies: ['IPv6', 'IPv4'] }],
  'two families and one stack': [{ ports, ipFamilies: ['IPv6', 'IPv4'], ipFamilyPolicy: 'SingleStack' }],
  'an address of its choice': [
    { ports, clusterIP: 'fd00:10:96::77' },
    { ports, clusterIP: 'fd00:10:96::78' },
  ],
  'an address of another family': [{ ports, clusterIP: '10.96.0.77', ipFamilies: ['IPv6'] }],
  'an address out of range': [{ ports, clusterIP: '10.97.0.1' }],
  'an address out of the second range': [{ ports, clusterIP: 'fd00:10:97::1' }],
  'headless with a selector': [{ ports, clusterIP: 'None', selector: { app: 'x' } }],
  'headless without a selector': [{ ports, clusterIP: 'None' }],
  'a node port, kept and given back': [
    {
      ports: [
        { name: 'a', port: 80, nodePort: 30_777 },
        { name: 'b', port: 81 },
      ],
      type: 'NodePort',
    },
    {
      ports: [
        { name: 'b', port: 81 },
        { name: 'a', port: 80 },
      ],
      replace: true,
      type: 'NodePort',
    },
    { type: 'ClusterIP' },
  ],
  'a node port out of range': [{ ports: [{ name: 'a', port: 80, nodePort: 80 }], type: 'NodePort' }],
  'a load balancer, then none': [{ ports, type: 'LoadBalancer' }, { type: 'ClusterIP' }],
  'a load balancer without node ports': [{ ports, type: 'LoadBalancer', allocateLoadBalancerNodePorts: false }],
  'a local load balancer': [{ ports, type: 'LoadBalancer', externalTrafficPolicy: 'Local' }],
  'session affinity': [{ ports, sessionAffinity: 'ClientIP' }, { sessionAffinity: 'None' }],
  'an external name, then a Service, then a name': [
    { type: 'ExternalName', externalName: 'example.com' },
    { type: 'ClusterIP', ports, externalName: null },
    { type: 'ExternalName', externalName: 'example.com', clusterIP: null, clusterIPs: null },
  ],
};

describe('Services are admitted as by the real API server', { skip }, () => {
  let oracle: Oracle | undefined;
  let embedded: ServerProcess | undefined;
  let stateDir: string;

  before(
    async () => {
      stateDir = createState();
      embedded = await startServerProcess(stateDir, { controllers: false });
      oracle = await startOracle(binary);
    },
    { timeout: 90_000 },
  );
  after(async () => {
    await oracle?.close();
    await embedded?.end('SIGTERM');
    removeState(stateDir);
  });

  const differing = Object.entries(lives);
  for (const [i, [name, life]] of differing.entries()) {
    test(name, async () => {
      const told = [oracle?.port ?? 0, embedded?.port ?? 0].map((port) => live(port, `s${i}`, life));
      const [expected, actual] = await Promise.all(told);
      deepEqual(actual, expected);
    });
  }
});

async function live(port: number, name: string, life: readonly (Fields & { replace?: boolean })[]): Promise<unknown[]> {
  const told: unknown[] = [];
  for (const [i, { replace, ...spec }] of life.entries()) {
    const body = JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name }, spec });
    const answer =
      i === 0
        ? await send(port, 'POST', services, { body })
        : replace
          ? await send(port, 'PUT', `${services}/${name}`, { body })
          : await send(port, 'PATCH', `${services}/${name}`, { body, type: 'application/merge-patch+json' });
    const said = answer.body['spec'] ?? answer.body['message'];
    told.push([answer.status, sorted(said)]);
  }
  await send(port, 'DELETE', `${services}/${name}`);
  return told;
}

/** Addresses and ports that a server picked are told apart by their family alone. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => sorted(item));
  if (typeof value === 'string')
    return value.replace(/\b10\.96\.[\d.]+/g, 'IP4').replace(/fd00:10:96::[0-9a-f]+/g, 'IP6');
  if (typeof value === 'number' && value >= 30_000 && value !== 30_777) return 'PORT';
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, item]) => [name, sorted(item)]));
}
