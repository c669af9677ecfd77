/** Istio's own programs (test/istio/peers), where `npm run test:istio` built them, and a mesh with its istiod. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { kinds, systemNamespace } from '../../src/api/index.ts';
import { chart, runHelm } from '../support/helm.ts';
import { openTestMesh, repository, type TestMesh } from '../support/mesh.ts';

/** The binary; its first argument says which program it is. */
export const peers: string = process.env['AMBIT_TEST_ISTIO'] ?? '';

export const skip: string | false = peers === '' && "no programs of Istio: run 'npm run test:istio'";

/** A folder of Istio's module, as Go keeps it. */
export function istioFolder(path: string): string {
  const module = execFileSync('go', ['list', '-m', '-f', '{{.Dir}}', 'istio.io/istio'], {
    cwd: join(repository, 'test/istio/peers'),
    encoding: 'utf8',
  });
  return join(module.trim(), path);
}

/** A mesh whose control plane is Istio's istiod, installed by its chart, and the rest Ambit's with these values of its chart. */
export async function openIstioMesh(options: {
  readonly nodes: number;
  readonly ambit: readonly string[];
  /** Whether Ambit's part is ready by itself: a ztunnel is not before its node agent. Default true. */
  readonly isComplete?: boolean;
}): Promise<TestMesh> {
  const images = [`registry.istio.io/testing/pilot:*=${peers} istiod`];
  const mesh = await openTestMesh({ bare: true, nodes: options.nodes, images });
  const install = async (name: string, folder: string, values: readonly string[], waits = true): Promise<void> => {
    const set = values.flatMap((value) => ['--set', value]);
    const wait = waits ? ['--wait', '--timeout', '150s'] : [];
    await runHelm(['install', name, folder, '-n', systemNamespace, ...wait, ...set], mesh.kubeconfig);
  };
  try {
    await mesh.client.create(kinds.Namespace, { metadata: { name: systemNamespace } });
    const definitions = await mesh.ambit(['up', '-f', join(repository, 'charts/crds')]);
    assert.equal(definitions.code, 0, definitions.stderr);
    const istiod = ['profile=ambient', 'autoscaleEnabled=false', 'resources.requests.memory=64Mi'];
    await install('istiod', istioFolder('manifests/charts/istio-control/istio-discovery'), istiod);
    await install('ambit', chart, [...options.ambit, 'nodeAgent.cni.install=false'], options.isComplete);
  } catch (error) {
    await mesh[Symbol.asyncDispose]();
    throw error;
  }
  return mesh;
}
