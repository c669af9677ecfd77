import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KubeObject } from '../api/meta.ts';
import { slim } from './slim.ts';

describe('what is kept of an object', () => {
  it('is what discovery reads of a pod', () => {
    const pod = {
      kind: 'Pod',
      metadata: { name: 'a', annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}', x: 'y' } },
      spec: {
        nodeName: 'n',
        volumes: [{}],
        tolerations: [{}],
        containers: [{ name: 'c', image: 'i', env: [{}], ports: [{ containerPort: 1 }], livenessProbe: {} }],
        initContainers: [{ name: 's', restartPolicy: 'Always', command: ['x'] }],
      },
      status: { phase: 'Running', podIPs: [], conditions: [], containerStatuses: [{}] },
    };
    assert.deepEqual(slim(pod as KubeObject), {
      kind: 'Pod',
      metadata: { name: 'a', annotations: { x: 'y' } },
      spec: {
        nodeName: 'n',
        containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 1 }] }],
        initContainers: [{ name: 's', restartPolicy: 'Always' }],
      },
      status: { phase: 'Running', podIPs: [], conditions: [] },
    });
  });

  it('is what says something of TLS of a Secret', () => {
    const secret = {
      kind: 'Secret',
      metadata: { name: 'a' },
      type: 'Opaque',
      data: { 'tls.crt': 'YQ==', password: 'cw==' },
    };
    const { metadata, ...kept } = slim({ apiVersion: 'v1', ...secret } as KubeObject) as KubeObject & { data: object };
    assert.deepEqual([metadata.name, kept.data], ['a', { 'tls.crt': 'YQ==' }]);
    assert.ok(!JSON.stringify(kept).includes('password'));
  });

  it('is all of what it does not know, and nothing breaks it', () => {
    const policy = { kind: 'AuthorizationPolicy', metadata: {}, spec: { volumes: 1 } };
    assert.deepEqual(slim(structuredClone(policy) as KubeObject), policy);
    assert.deepEqual(slim({ kind: 'Pod', metadata: {} }), { kind: 'Pod', metadata: {} });
  });
});
