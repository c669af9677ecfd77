import { deepEqual, match } from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../../api/index.ts';
import { blockedMeshTraffic, type NetworkPolicy } from './network-policy.ts';

const pod = {
  metadata: { name: 'web', namespace: 'shop', labels: { app: 'web' } },
  spec: { containers: [{ name: 'a', ports: [{ name: 'hbone', containerPort: 15008 }] }] },
} as unknown as Pod;

function policy(spec: NetworkPolicy['spec'], name = 'p'): NetworkPolicy {
  return { metadata: { name, namespace: 'shop' }, spec: { podSelector: { matchLabels: { app: 'web' } }, ...spec } };
}

const app = { protocol: 'TCP', port: 8080 };
const tunnel = { protocol: 'TCP', port: 15008 };
const friends = [{ podSelector: { matchLabels: { app: 'friend' } } }];
const count = (...policies: NetworkPolicy[]): number => blockedMeshTraffic(pod, policies).length;

test('a rule that admits application ports alone is named, with what to add', () => {
  const [first = ''] = blockedMeshTraffic(pod, [policy({ ingress: [{ ports: [app], from: friends }] }, 'app-only')]);
  match(
    first,
    /NetworkPolicy app-only, ingress rule 1, leaves out port 15008.*add "- \{ protocol: TCP, port: 15008 \}"/,
  );
});

test('the port may be admitted by number, range, name, or by naming none', () => {
  for (const ports of [
    [app, tunnel],
    [app, { port: 15000, endPort: 15010 }],
    [app, { port: 'hbone' }],
    [{ protocol: 'TCP' }],
    [],
  ])
    deepEqual(count(policy({ ingress: [{ ports, from: friends }] })), 0, JSON.stringify(ports));
});

test('another rule or policy may admit it, for the same peers or for all', () => {
  const ingress = { ports: [app], from: friends };
  deepEqual(count(policy({ ingress: [ingress, { ports: [tunnel], from: friends }] })), 0);
  deepEqual(count(policy({ ingress: [ingress] }), policy({ ingress: [{ ports: [tunnel] }] }, 'all')), 0);
  const others = [{ podSelector: { matchLabels: { app: 'other' } } }];
  deepEqual(count(policy({ ingress: [ingress, { ports: [tunnel], from: others }] })), 1);
});

test('policies of others, and those that admit nobody, are meant so', () => {
  deepEqual(count(policy({ ingress: [] })), 0);
  deepEqual(count(policy({ podSelector: { matchLabels: { app: 'db' } }, ingress: [{ ports: [app] }] })), 0);
  deepEqual(count({ ...policy({ ingress: [{ ports: [app] }] }), metadata: { name: 'p', namespace: 'other' } }), 0);
  deepEqual(count(policy({ ingress: [{ ports: [{ protocol: 'UDP', port: 53 }] }] })), 0);
});

test('egress counts where it leads to pods', () => {
  const types = { policyTypes: ['Egress'] };
  deepEqual(count(policy({ ...types, egress: [{ ports: [app], to: friends }] })), 1);
  deepEqual(count(policy({ ...types, egress: [{ ports: [app], to: [{ ipBlock: { cidr: '1.1.1.0/24' } }] }] })), 0);
  deepEqual(
    count(
      policy({
        ...types,
        egress: [
          {
            ports: [
              { protocol: 'TCP', port: 53 },
              { protocol: 'UDP', port: 53 },
            ],
          },
        ],
      }),
    ),
    0,
  );
  deepEqual(count(policy({ ...types, egress: [{ ports: [app, tunnel], to: friends }] })), 0);
});
