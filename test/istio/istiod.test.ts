/** Ambit's node agent and ztunnels on Istio's own istiod: its discovery, its CA, its policies; and its istioctl reads them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { kinds, systemNamespace, type KindRef, type KubeObject } from '../../src/api/index.ts';
import {
  clientAndEchoServer,
  documents,
  namespace,
  programPod,
  programs,
  serviceAccount,
  type TestMesh,
} from '../support/mesh.ts';
import { eventually, run } from '../support/run.ts';
import { openIstioMesh, peers, skip } from './peers.ts';

const spiffe = 'spiffe://cluster.local/ns/default/sa';
const patienceMs = 60_000;

describe("Ambit's data plane on Istio's control plane", { skip }, () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await openIstioMesh({ nodes: 2, ambit: ['control.enabled=false'] });
    await mesh.apply(
      documents(
        clientAndEchoServer(),
        namespace('outside'),
        serviceAccount('visitor', 'outside'),
        programPod({ name: 'visitor', namespace: 'outside', node: 'node-1', program: 'idle.ts' }),
      ),
    );
    await mesh.enrol('default');
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  async function request(pod = 'client'): Promise<{ reply?: string; error?: string }> {
    const command = [process.execPath, join(programs, 'request.ts'), 'server.default', '7000', 'hello', '3000'];
    return JSON.parse(await mesh.exec(pod, command)) as { reply?: string; error?: string };
  }

  /** Waits until the pod's requests are answered, or reset. */
  async function expect(outcome: 'answered' | 'refused', pod = 'client'): Promise<void> {
    await eventually(
      async () => {
        const { reply, error } = await request(pod);
        return (outcome === 'answered' ? reply === 'hello' : error === 'ECONNRESET') ? true : undefined;
      },
      `a request of ${pod} is ${outcome}`,
      patienceMs,
    );
  }

  const accessLine = (parts: readonly string[], without?: string): Promise<string> =>
    eventually(
      async () =>
        (await mesh.ambit(['logs', 'ztunnel'])).stdout
          .split('\n')
          .find((line) => parts.every((part) => line.includes(part)) && !(without && line.includes(without))),
      `an access log line with ${parts.join(' ')}`,
    );

  async function withPolicy(kind: KindRef<KubeObject>, spec: unknown, work: () => Promise<void>): Promise<void> {
    const object = { metadata: { name: 'under-test', namespace: 'default' }, spec } as KubeObject;
    await mesh.client.create(kind, object);
    try {
      await work();
    } finally {
      await mesh.client.delete(kind, 'under-test', 'default');
    }
    await expect('answered');
  }

  it('carries connections with identities of its CA', async () => {
    await expect('answered');
    // Of one that was answered: others may have come before what they need.
    const line = await accessLine(['direction="inbound"', `src.identity="${spiffe}/client"`], 'error=');
    assert.match(line, new RegExp(`dst\\.identity="${spiffe}/server"`));
    assert.match(line, /dst\.service="server\.default\.svc\.cluster\.local"/);
  });

  it('enforces its AuthorizationPolicies', () =>
    withPolicy(
      kinds.AuthorizationPolicy,
      { action: 'DENY', rules: [{ from: [{ source: { principals: ['cluster.local/ns/default/sa/client'] } }] }] },
      async () => {
        await expect('refused');
        await accessLine(['direction="inbound"', 'default/under-test']);
      },
    ));

  it('enforces its STRICT mode', async () => {
    await expect('answered', 'outside/visitor');
    await withPolicy(kinds.PeerAuthentication, { mtls: { mode: 'STRICT' } }, async () => {
      await expect('refused', 'outside/visitor');
      await expect('answered');
    });
  });

  it('goes on while istiod is away, and follows the next one', async () => {
    const setReplicas = (replicas: number): Promise<unknown> =>
      mesh.client.patch(kinds.Deployment, 'istiod', systemNamespace, { spec: { replicas } }, { type: 'merge' });
    const running = async (): Promise<number> =>
      (await mesh.client.list(kinds.Pod, { namespace: systemNamespace, labelSelector: 'app=istiod' })).items.length;
    await setReplicas(0);
    await eventually(async () => ((await running()) === 0 ? true : undefined), 'istiod is gone', patienceMs);
    assert.deepEqual(await request(), { reply: 'hello' });
    await setReplicas(1);
    // What it serves afterwards is new to it, and old to the ztunnels.
    await withPolicy(kinds.AuthorizationPolicy, {}, () => expect('refused'));
  });

  describe('istioctl', () => {
    async function istioctl(...args: readonly string[]): Promise<string> {
      const { code, stdout, stderr } = await run([peers, 'istioctl', ...args, '--kubeconfig', mesh.kubeconfig]);
      assert.equal(code, 0, stdout + stderr);
      return stdout;
    }
    let ztunnel: string;
    before(async () => {
      const [ns, name] = (await mesh.systemPod('ztunnel', 'node-2')).split('/');
      ztunnel = `${name}.${ns}`;
    });

    it('reads the workloads', async () => {
      const table = await istioctl('ztunnel-config', 'workloads', ztunnel);
      assert.match(table, /^default +server +10\.244\.2\.\S+ +node-2 +None +HBONE$/m);
      assert.match(table, /^outside +visitor +10\.244\.1\.\S+ +node-1 +None +TCP$/m);
    });

    it('reads the services', async () => {
      assert.match(
        await istioctl('ztunnel-config', 'services', ztunnel),
        /^default +server +10\.96\.\d+\.\d+ +None +1\/1$/m,
      );
    });

    it('reads the certificates', async () => {
      assert.match(
        await istioctl('ztunnel-config', 'certificates', ztunnel),
        new RegExp(`^${spiffe}/server +Leaf +Available +true `, 'm'),
      );
    });

    it('reads the policies', () =>
      withPolicy(kinds.AuthorizationPolicy, { rules: [{ to: [{ operation: { ports: ['7000'] } }] }] }, async () => {
        await eventually(
          async () =>
            /^default +under-test +ALLOW +Namespace/im.test(await istioctl('ztunnel-config', 'policies', ztunnel))
              ? true
              : undefined,
          'istioctl shows the policy',
        );
      }));

    it('reads the live connections', async () => {
      const held = await mesh.startInPod('client', [
        process.execPath,
        '-e',
        `const s = require('node:net').connect(7000, 'server.default');
         s.write('x'); s.on('data', () => console.log('up')); process.stdin.on('end', () => s.destroy()).resume();`,
      ]);
      try {
        await new Promise((resolve) => held.stdout?.once('data', resolve));
        const table = await istioctl('ztunnel-config', 'connections', ztunnel);
        assert.match(table, /^server\.default +Inbound +server\.default:15008 +client\.default:\d+ +\S+:7000 +HBONE$/m);
      } finally {
        held.stdin?.end();
      }
    });
  });
});
