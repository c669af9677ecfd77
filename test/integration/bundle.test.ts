/** The programs as the image has them: a mesh whose control plane, node agents, ztunnels and waypoint run from a bundle. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { bundle } from '../../scripts/bundle.ts';
import { openL7Mesh, type L7Mesh } from '../support/l7-mesh.ts';
import { repository } from '../support/mesh.ts';
import { eventually, run, start } from '../support/run.ts';

const stops = `export default () => ({ onRequest: () => ({ respond: { status: 418 } }) });`;

describe('a mesh from a bundle', () => {
  let image: string;
  let program: string;
  let l7: L7Mesh;

  before(async () => {
    const cache = join(repository, '.cache');
    await mkdir(cache, { recursive: true });
    image = await mkdtemp(join(cache, 'bundle-'));
    await bundle(image);
    program = join(image, 'dist/bin/ambit.js');
    l7 = await openL7Mesh({ images: [`ambit/ambit*=${process.execPath} ${program}`] });
  });
  after(async () => {
    await l7?.[Symbol.asyncDispose]();
    await rm(image, { recursive: true, force: true });
  });

  it('carries requests through its waypoint, with an extension of the user', async () => {
    await l7.apply({
      apiVersion: 'policy.ambit.dev/v1alpha1',
      kind: 'ProxyExtension',
      metadata: { name: 'stops', namespace: 'shop' },
      spec: { targetRefs: [{ group: '', kind: 'Service', name: 'app' }], source: { inline: stops } },
    });
    const [other] = await l7.send('front/client', { url: 'http://app-v1.shop/' });
    assert.equal(other?.status, 200);
    await l7.until(
      'front/client',
      { url: 'http://app.shop/' },
      ({ status }) => status === 418,
      'an answer of the extension',
    );
  });

  it('runs its components from the bundle', async () => {
    const commands = await Promise.all(
      (await readdir('/proc'))
        .filter((name) => /^\d+$/.test(name))
        .map((pid) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')),
    );
    for (const name of ['node-agent', 'ztunnel', 'proxy'])
      assert.ok(
        commands.some((line) => line.includes(`${program}\0${name}`)),
        `${name} runs from the bundle`,
      );
  });

  it('has a control plane', async () => {
    const env = {
      KUBECONFIG: l7.mesh.kubeconfig,
      REVISION: 'bundle',
      LISTEN: '127.0.0.1:0',
      WEBHOOK_LISTEN: '127.0.0.1:0',
      MONITORING_LISTEN: '127.0.0.1:0',
    };
    const control = start([process.execPath, program, 'control'], { env });
    let said = '';
    for (const stream of [control.stdout, control.stderr])
      stream?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    try {
      await eventually(async () => said.includes('control plane ready') || undefined, 'it is ready');
    } finally {
      control.kill('SIGKILL');
    }
  });

  it('has the threads of a ztunnel, and the CNI plugin', async () => {
    const ztunnel = start([process.execPath, program, 'ztunnel'], {
      env: {
        NODE_NAME: 'bundle',
        ZTUNNEL_WORKER_THREADS: '2',
        XDS_ADDRESS: 'https://127.0.0.1:9',
        CA_ADDRESS: 'https://127.0.0.1:9',
        INPOD_UDS: join(image, 'none.sock'),
      },
    });
    await eventually(async () => {
      const tasks = await readdir(`/proc/${ztunnel.pid}/task`);
      const names = await Promise.all(tasks.map((task) => readFile(`/proc/${ztunnel.pid}/task/${task}/comm`, 'utf8')));
      return names.includes('data-0\n') && names.includes('data-1\n') ? true : undefined;
    }, 'two threads').finally(() => ztunnel.kill('SIGKILL'));
    const plugin = await run([process.execPath, join(image, 'dist/bin/cni-plugin.js')], {
      env: { CNI_COMMAND: 'VERSION' },
    });
    assert.match(plugin.stdout, /"supportedVersions"/, plugin.stderr);
  });
});
