/** The mesh of the tests of refusals: a client, a server, a sibling on its node, a visitor from outside the mesh. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import {
  documents,
  namespace,
  openTestMesh,
  programPod,
  programs,
  service,
  serviceAccount,
  type TestMesh,
} from './mesh.ts';
import { eventually } from './run.ts';

const manifests = documents(
  namespace('outside'),
  serviceAccount('client'),
  serviceAccount('server'),
  serviceAccount('sibling'),
  serviceAccount('visitor', 'outside'),
  programPod({ name: 'client', node: 'node-1', program: 'idle.ts' }),
  programPod({ name: 'server', node: 'node-2', program: 'echo-server.ts', args: ['7000'], port: 7000 }),
  programPod({ name: 'sibling', node: 'node-2', program: 'idle.ts' }),
  programPod({ name: 'visitor', namespace: 'outside', node: 'node-1', program: 'idle.ts' }),
  service('server', 7000),
);

export interface RefusalsMesh extends AsyncDisposable {
  readonly mesh: TestMesh;
  /** Fails unless every process is the one of the beginning and becomes ready, and a request from client to server is answered. */
  expectUnharmed(): Promise<void>;
  podIp(name: string, namespace?: string): Promise<string>;
}

export async function openRefusalsMesh(): Promise<RefusalsMesh> {
  const mesh = await openTestMesh({ manifests });
  const podIp = async (name: string, ns = 'default'): Promise<string> => (await mesh.pod(ns, name)).status?.podIP ?? '';
  /** Once all are ready: one that has no time to say so within a second is not, for that time. */
  const processes = (): Promise<unknown> =>
    eventually(async () => {
      const { stdout } = await mesh.ambit(['status', '-o', 'json']);
      const all = JSON.parse(stdout) as { component: string; node: string; pid: number; ready: boolean }[];
      return all.every(({ ready }) => ready) && all.map(({ component, node, pid }) => ({ component, node, pid }));
    }, 'every process is ready');
  const requestWorks = (): Promise<true> =>
    eventually(
      async () => {
        const command = [process.execPath, join(programs, 'request.ts'), 'server.default', '7000', 'hello'];
        const { reply } = JSON.parse(await mesh.exec('client', command)) as { reply?: string };
        return reply === 'hello' ? true : undefined;
      },
      'requests are answered',
      60_000,
    );
  try {
    await mesh.enrol('default');
    await requestWorks();
    const atFirst = await processes();
    return {
      mesh,
      podIp,
      async expectUnharmed() {
        assert.deepEqual(await processes(), atFirst, 'every process lives on');
        await requestWorks();
      },
      [Symbol.asyncDispose]: () => mesh[Symbol.asyncDispose](),
    };
  } catch (error) {
    await mesh[Symbol.asyncDispose]();
    throw error;
  }
}
