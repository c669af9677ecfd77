import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { crdOf } from './custom/crd.ts';
import { customKinds } from './custom/index.ts';
import { servedKinds } from './custom/kind-info.ts';
import { kinds, type KubeObject } from './index.ts';
import { builtinKinds, kindInfo, mergeKeyOf, tableOf, validate } from './serving.ts';

/** `path: message` of every problem, after defaults. */
function problems(kind: { group: string; kind: string }, object: unknown, old?: unknown): string[] {
  const info = kindInfo(kind);
  assert.ok(info);
  const now = info.defaults(object as KubeObject);
  const before = old === undefined ? undefined : info.defaults(old as KubeObject);
  return validate(kind, now, before ? { old: before } : {}).map(({ path, message }) => `${path}: ${message}`);
}

function paths(kind: { group: string; kind: string }, object: unknown, old?: unknown): string[] {
  return problems(kind, object, old).map((line) => line.slice(0, line.indexOf(': ')));
}

const meta = { name: 'x', namespace: 'default' };
const pod = (spec: object): unknown => ({
  metadata: meta,
  spec: { containers: [{ name: 'c', image: 'i:1' }], ...spec },
});

describe('every kind', () => {
  it('has a unique group, kind and plural', () => {
    const all = [...builtinKinds, ...customKinds.map(({ ref }) => ref)];
    assert.equal(new Set(all.map(({ group, kind }) => `${group}/${kind}`)).size, all.length);
    assert.equal(new Set(all.map(({ group, plural }) => `${group}/${plural}`)).size, all.length);
    assert.equal(Object.keys(kinds).length, all.length);
  });

  it('defaults, validates and prints whatever JSON comes, without throwing', () => {
    const fields = fc.constantFrom(
      'metadata',
      'spec',
      'status',
      'data',
      'containers',
      'ports',
      'rules',
      'from',
      'source',
      'template',
      'volumes',
      'name',
      'labels',
      'selector',
      'conditions',
      'endpoints',
      '__proto__',
    );
    const { json } = fc.letrec((tie) => ({
      json: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom(null, true, 0, -1, 70_000, '', 'x', '10.0.0.0/40'),
        fc.array(tie('json'), { maxLength: 3 }),
        fc.dictionary(fields, tie('json'), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(
        fc.constantFrom(...builtinKinds, ...customKinds.flatMap((kind) => servedKinds(crdOf(kind)))),
        fc.dictionary(fields, json),
        fc.dictionary(fields, json),
        (info, object, old) => {
          const defaulted = info.defaults(object as never);
          info.validate(defaulted, { old: old as never });
          tableOf(info, [defaulted], 0);
          assert.deepEqual(info.defaults(defaulted), defaulted, 'defaults are idempotent');
        },
      ),
      { numRuns: 500 },
    );
  });

  it('keeps what it was given', () => {
    const given = {
      metadata: { name: 'x', namespace: 'default' },
      spec: { containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 1 }] }] },
    };
    const before = structuredClone(given);
    kindInfo(kinds.Pod)?.defaults(given);
    assert.deepEqual(given, before);
  });
});

describe('metadata', () => {
  it('needs a valid name', () => {
    assert.deepEqual(problems(kinds.ConfigMap, { metadata: { namespace: 'default' } }), [
      'metadata.name: Required value: name or generateName is required',
    ]);
    assert.match(
      problems(kinds.ConfigMap, { metadata: { name: 'A_b', namespace: 'default' } })[0] ?? '',
      /^metadata.name: Invalid value: "A_b": a lowercase RFC 1123 subdomain must/,
    );
    assert.match(
      problems(kinds.Service, { metadata: { name: '1a', namespace: 'default' }, spec: { ports: [{ port: 1 }] } })[0] ??
        '',
      /DNS-1035/,
    );
    assert.match(problems(kinds.Namespace, { metadata: { name: 'a.b' } })[0] ?? '', /RFC 1123 label/);
    assert.deepEqual(problems(kinds.ConfigMap, { metadata: { generateName: 'x-', namespace: 'default' } }), []);
  });

  it('has labels of the right syntax', () => {
    const labels = { '-a': 'x', b: 'not ok', 'example.com/c': 'fine' };
    const found = problems(kinds.ConfigMap, { metadata: { ...meta, labels } });
    assert.equal(found.length, 2);
    assert.match(found[0] ?? '', /^metadata.labels: Invalid value: "-a": name part must consist of/);
    assert.match(found[1] ?? '', /^metadata.labels: Invalid value: "not ok": a valid label must be/);
  });
});

describe('pods', () => {
  it('get the defaults of the API server', () => {
    const probe = { httpGet: { port: 80 } };
    const object = kindInfo(kinds.Pod)?.defaults(
      pod({
        containers: [{ name: 'c', image: 'app', ports: [{ containerPort: 80 }], readinessProbe: probe }],
        volumes: [{ name: 'v' }, { name: 'w', configMap: { name: 'm' } }],
      }) as KubeObject,
    ) as unknown as { spec: Record<string, unknown>; status: Record<string, unknown> };
    assert.deepEqual(object.spec, {
      containers: [
        {
          name: 'c',
          image: 'app',
          ports: [{ containerPort: 80, protocol: 'TCP' }],
          readinessProbe: {
            httpGet: { port: 80, path: '/', scheme: 'HTTP' },
            timeoutSeconds: 1,
            periodSeconds: 10,
            successThreshold: 1,
            failureThreshold: 3,
          },
          resources: {},
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
          imagePullPolicy: 'Always',
        },
      ],
      volumes: [
        { name: 'v', emptyDir: {} },
        { name: 'w', configMap: { name: 'm', defaultMode: 420 } },
      ],
      enableServiceLinks: true,
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      securityContext: {},
      schedulerName: 'default-scheduler',
    });
    assert.deepEqual(object.status, { phase: 'Pending', qosClass: 'BestEffort' });
  });

  it('need containers with names and images, and report all problems at once', () => {
    assert.deepEqual(problems(kinds.Pod, { metadata: meta, spec: {} }), ['spec.containers: Required value']);
    const containers = [
      {
        name: 'a',
        image: 'i',
        ports: [
          { containerPort: 70_000, name: 'http' },
          { containerPort: 80, name: 'http' },
        ],
      },
      { name: 'a', image: '', volumeMounts: [{ name: 'gone', mountPath: '/x' }], env: [{ name: 'N', valueFrom: {} }] },
      { name: 'c', image: 'i', livenessProbe: { periodSeconds: -1 }, imagePullPolicy: 'Perhaps' },
    ];
    assert.deepEqual(problems(kinds.Pod, pod({ containers, restartPolicy: 'Sometimes' })), [
      'spec.containers[2].imagePullPolicy: Unsupported value: "Perhaps": supported values: "Always", "IfNotPresent", "Never"',
      'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
      'spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
      'spec.containers[0].ports[1].name: Duplicate value: "http"',
      'spec.containers[1].name: Duplicate value: "a"',
      'spec.containers[1].image: Required value',
      'spec.containers[1].env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`',
      'spec.containers[1].volumeMounts[0].name: Not found: "gone"',
      'spec.containers[2].livenessProbe: Required value: must specify a handler type',
      'spec.containers[2].livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0',
    ]);
  });

  it('ask for amounts that are amounts, and no more than their limit', () => {
    const resources = { limits: { cpu: '500m', memory: '1Gi' }, requests: { cpu: 1, memory: '512Mi', disk: '1 GB' } };
    assert.deepEqual(problems(kinds.Pod, pod({ containers: [{ name: 'c', image: 'i', resources }] })), [
      `spec.containers[0].resources.requests[disk]: Invalid value: "1 GB": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'`,
      'spec.containers[0].resources.requests[cpu]: Invalid value: 1: must be less than or equal to cpu limit of 500m',
    ]);
    const fine = ['1', '0.5', '100m', '1e3', '1.5Gi', '2E', '.5', '+1', '12E-3'];
    for (const memory of fine)
      assert.deepEqual(
        problems(kinds.Pod, pod({ containers: [{ name: 'c', image: 'i', resources: { limits: { memory } } }] })),
        [],
        memory,
      );
  });

  it('keep probes to containers that stay, and host ports to what they are', () => {
    const initContainers = [
      { name: 'once', image: 'i', readinessProbe: { tcpSocket: { port: 1 } } },
      { name: 'stays', image: 'i', restartPolicy: 'Always', readinessProbe: { tcpSocket: { port: 1 } } },
    ];
    const containers = [{ name: 'c', image: 'i', ports: [{ containerPort: 80, hostPort: 81 }, { containerPort: 90 }] }];
    assert.deepEqual(paths(kinds.Pod, pod({ initContainers, containers, hostNetwork: true })), [
      'spec.initContainers[0].readinessProbe',
      'spec.containers[0].ports[0].containerPort',
    ]);
  });

  it('name fields of a wrong type', () => {
    assert.deepEqual(
      problems(kinds.Pod, pod({ hostNetwork: 'yes', containers: [{ name: 'c', image: 'i', args: 'x' }] })),
      [
        'spec.containers[0].args: Invalid value: "string": spec.containers[0].args in body must be of type array: "string"',
        'spec.hostNetwork: Invalid value: "string": spec.hostNetwork in body must be of type boolean: "string"',
      ],
    );
  });

  it('change only their image and a few fields', () => {
    const image = { containers: [{ name: 'c', image: 'i:2', imagePullPolicy: 'IfNotPresent' }] };
    assert.deepEqual(problems(kinds.Pod, pod(image), pod({})), []);
    assert.deepEqual(paths(kinds.Pod, pod({ hostNetwork: true }), pod({})), ['spec']);
  });
});

describe('services', () => {
  const service = (spec: object): unknown => ({ metadata: meta, spec });

  it('get their defaults', () => {
    const object = kindInfo(kinds.Service)?.defaults(service({ ports: [{ port: 80 }] }) as KubeObject) as unknown as {
      spec: unknown;
    };
    assert.deepEqual(object.spec, {
      ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
      type: 'ClusterIP',
      sessionAffinity: 'None',
      internalTrafficPolicy: 'Cluster',
    });
  });

  it('need ports, named and distinct', () => {
    assert.deepEqual(problems(kinds.Service, service({})), ['spec.ports: Required value']);
    assert.deepEqual(problems(kinds.Service, service({ clusterIP: 'None' })), []);
    assert.deepEqual(
      problems(
        kinds.Service,
        service({
          type: 'Magic',
          ports: [
            { port: 80, name: 'a' },
            { port: 80, targetPort: 70_000 },
            { port: 0, targetPort: 1, name: 'a' },
          ],
        }),
      ),
      [
        'spec.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
        'spec.ports[1].name: Required value',
        'spec.ports[1].targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
        'spec.ports[1]: Duplicate value: {"protocol":"TCP","port":80}',
        'spec.ports[2].name: Duplicate value: "a"',
        'spec.ports[2].port: Invalid value: 0: must be between 1 and 65535, inclusive',
      ],
    );
  });

  it('keep their cluster IP', () => {
    const at = (clusterIP: string): unknown => service({ ports: [{ port: 80 }], clusterIP });
    assert.deepEqual(problems(kinds.Service, at('10.96.0.9'), at('10.96.0.8')), [
      'spec.clusterIPs[0]: Invalid value: ["10.96.0.9"]: may not change once set',
    ]);
    assert.deepEqual(problems(kinds.Service, at('10.96.0.8'), at('10.96.0.8')), []);
  });
});

describe('deployments', () => {
  const deployment = (spec: object): unknown => ({
    metadata: meta,
    spec: {
      selector: { matchLabels: { app: 'x' } },
      template: { metadata: { labels: { app: 'x' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
      ...spec,
    },
  });

  it('get their defaults', () => {
    const object = kindInfo(kinds.Deployment)?.defaults(deployment({}) as KubeObject) as unknown as {
      spec: Record<string, unknown>;
    };
    const { spec } = object;
    assert.equal(spec['replicas'], 1);
    assert.equal(spec['revisionHistoryLimit'], 10);
    assert.equal(spec['progressDeadlineSeconds'], 600);
    assert.deepEqual(spec['strategy'], {
      type: 'RollingUpdate',
      rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' },
    });
  });

  it('select their own template, and never change the selector', () => {
    assert.deepEqual(problems(kinds.Deployment, deployment({})), []);
    const other = { selector: { matchLabels: { app: 'y' } } };
    assert.deepEqual(problems(kinds.Deployment, deployment(other)), [
      'spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`',
    ]);
    const both = {
      selector: { matchLabels: { app: 'x', tier: 'y' } },
      template: { metadata: { labels: { app: 'x', tier: 'y' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    };
    assert.deepEqual(problems(kinds.Deployment, deployment(both), deployment({})), [
      'spec.selector: Invalid value: {"matchLabels":{"app":"x","tier":"y"}}: field is immutable',
    ]);
  });

  it('need a way to make progress', () => {
    const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: '0%' } };
    assert.deepEqual(problems(kinds.Deployment, deployment({ strategy, replicas: -1 })), [
      'spec.replicas: Invalid value: -1: must be greater than or equal to 0',
      'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0',
    ]);
  });
});

describe('config maps and secrets', () => {
  it('have keys that are file names', () => {
    assert.deepEqual(paths(kinds.ConfigMap, { metadata: meta, data: { 'a/b': '', '..': '', fine: '' } }), [
      'data[a/b]',
      'data[..]',
    ]);
  });

  it('store stringData in base64, and never repeat a bad value', () => {
    const secret = kindInfo(kinds.Secret)?.defaults({ metadata: meta, stringData: { a: 'ä' } } as KubeObject);
    assert.deepEqual(secret, { metadata: meta, type: 'Opaque', data: { a: 'w6Q=' } });
    assert.deepEqual(problems(kinds.Secret, { metadata: meta, data: { a: 'not base64' } }), [
      'data[a]: Invalid value: "<redacted>": must be base64',
    ]);
  });

  it('stay as they are once immutable', () => {
    const before = { metadata: meta, data: { a: '1' }, immutable: true };
    assert.deepEqual(paths(kinds.ConfigMap, { metadata: meta, data: { a: '2' }, immutable: true }, before), ['data']);
    assert.deepEqual(paths(kinds.ConfigMap, { metadata: meta, data: { a: '1' } }, before), ['immutable']);
  });
});

describe('strategic merge', () => {
  it('knows the keys of lists', () => {
    assert.deepEqual(mergeKeyOf(kinds.Pod, ['spec', 'containers']), { strategy: 'merge', key: 'name' });
    assert.deepEqual(mergeKeyOf(kinds.Deployment, ['spec', 'template', 'spec', 'containers', 'ports']), {
      strategy: 'merge',
      key: 'containerPort',
    });
    assert.deepEqual(mergeKeyOf(kinds.Service, ['spec', 'ports']), { strategy: 'merge', key: 'port' });
    assert.deepEqual(mergeKeyOf(kinds.Pod, ['metadata', 'ownerReferences']), { strategy: 'merge', key: 'uid' });
    assert.deepEqual(mergeKeyOf(kinds.Pod, ['metadata', 'finalizers']), { strategy: 'merge' });
    assert.deepEqual(mergeKeyOf(kinds.Pod, ['status', 'conditions']), { strategy: 'merge', key: 'type' });
    assert.deepEqual(mergeKeyOf(kinds.Pod, ['spec', 'containers', 'args']), { strategy: 'replace' });
    assert.deepEqual(mergeKeyOf(kinds.Pod, ['spec', 'tolerations']), { strategy: 'replace' });
    assert.deepEqual(mergeKeyOf(kinds.Pod, ['spec', 'nodeSelector']), { strategy: 'merge' });
    assert.deepEqual(mergeKeyOf(kinds.Pod, ['spec', 'volumes']), { strategy: 'merge', key: 'name', retainKeys: true });
    assert.deepEqual(mergeKeyOf(kinds.Deployment, ['spec', 'strategy']), { strategy: 'merge', retainKeys: true });
  });
});
