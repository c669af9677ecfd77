/** The least that can be said of an object of each kind: what a server makes of it is its own defaults and admission. */
import type { Case, Step } from './apiserver-cases.ts';

type Fields = Record<string, unknown>;

const base = '/api/v1/namespaces/default';
const pods = `${base}/pods`;
const dryRun = '?dryRun=All';
const post = (path: string, body: Fields): Step => ({ method: 'POST', path: path + dryRun, body });
const container = { name: 'main', image: 'busybox' };
const pod = (spec: Fields = {}, metadata: Fields = {}): Step =>
  post(pods, { metadata: { name: 'least', ...metadata }, spec: { containers: [container], ...spec } });
const template = { metadata: { labels: { app: 'x' } }, spec: { containers: [container] } };
const selector = { matchLabels: { app: 'x' } };
const tokenFolder = '/var/run/secrets/kubernetes.io/serviceaccount';
const own = { name: 'own', emptyDir: {} };

export const minimalCases: readonly Case[] = [
  {
    name: 'the least of each kind',
    steps: [
      post('/api/v1/namespaces', { metadata: { name: 'least' } }),
      post(`${base}/serviceaccounts`, { metadata: { name: 'least' } }),
      post(`${base}/services`, { metadata: { name: 'least' }, spec: { ports: [{ port: 80 }] } }),
      post(`${base}/configmaps`, { metadata: { name: 'least' } }),
      post(`${base}/secrets`, { metadata: { name: 'least' } }),
      pod(),
      post('/apis/apps/v1/namespaces/default/deployments', {
        metadata: { name: 'least' },
        spec: { selector, template },
      }),
      post('/apis/apps/v1/namespaces/default/replicasets', {
        metadata: { name: 'least' },
        spec: { selector, template },
      }),
      post('/apis/apps/v1/namespaces/default/statefulsets', {
        metadata: { name: 'least' },
        spec: { selector, template, serviceName: 'least' },
      }),
    ],
  },
  {
    name: 'the account of a pod, and its token',
    steps: [
      pod({ serviceAccountName: 'gone' }),
      pod({ serviceAccount: 'gone' }),
      pod({ serviceAccountName: 'gone' }, { name: undefined, generateName: 'least-' }),
      pod({ automountServiceAccountToken: false }),
      pod({ volumes: [own], containers: [{ ...container, volumeMounts: [{ name: 'own', mountPath: tokenFolder }] }] }),
      pod({ initContainers: [{ name: 'first', image: 'busybox:1' }], volumes: [own] }),
      pod({ volumes: [{ name: 'kube-api-access-abcde', emptyDir: {} }] }),
      {
        method: 'POST',
        path: `${base}/serviceaccounts`,
        body: {
          metadata: { name: 'quiet' },
          automountServiceAccountToken: false,
          imagePullSecrets: [{ name: 'pull' }],
        },
      },
      pod({ serviceAccountName: 'quiet' }),
      pod({ serviceAccountName: 'quiet', automountServiceAccountToken: true, imagePullSecrets: [{ name: 'own' }] }),
      pod({ serviceAccountName: 'quiet', nodeName: 'n' }, { annotations: { 'kubernetes.io/config.mirror': 'x' } }),
      pod({ nodeName: 'n' }, { annotations: { 'kubernetes.io/config.mirror': 'x' } }),
    ],
  },
  {
    name: 'priority and tolerations of a pod',
    steps: [
      pod({ priorityClassName: 'none' }),
      pod({ priorityClassName: 'system-node-critical' }),
      pod({ priority: 5 }),
      pod({ priority: 0 }),
      pod({ preemptionPolicy: 'Never' }),
      pod({ tolerations: [{ operator: 'Exists' }] }),
      pod({ tolerations: [{ key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' }] }),
      pod({ tolerations: [{ key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoSchedule' }] }),
    ],
  },
];
