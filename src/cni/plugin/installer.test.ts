import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { createFakeClock, type FakeClock } from '../../lib/fake-clock.ts';
import { silentLog } from '../../lib/log.ts';
import { networkFiles } from './conflist.ts';
import { CniInstaller, ownConfigName } from './installer.ts';
import { pluginModules } from './launcher.ts';

interface World {
  readonly installer: CniInstaller;
  readonly confDir: string;
  readonly binDir: string;
  readonly results: string[];
  readonly clock: FakeClock;
}

function open(t: TestContext, ownConfig: boolean, files: Record<string, string>): World {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-installer-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [confDir, binDir] = [join(folder, 'net.d'), join(folder, 'bin')];
  mkdirSync(confDir);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(confDir, name), text);
  const fakeNode = join(folder, 'node');
  writeFileSync(fakeNode, 'not a program');
  const results: string[] = [];
  const clock = createFakeClock();
  const installer = new CniInstaller({
    confDir,
    launcher: { binDir, hostBinDir: '/opt/cni/bin', nodePath: fakeNode },
    chain: { runDir: '/run/x', excludedNamespaces: ['kube-system'], systemNamespace: 'istio-system' },
    ownConfig,
    clock,
    log: silentLog(),
    onInstall: (result) => results.push(result),
  });
  t.after(() => installer.close());
  return { installer, confDir, binDir, results, clock };
}

const single = '{"cniVersion":"0.3.1","name":"old","type":"bridge"}';
const list = JSON.stringify({ cniVersion: '1.0.0', name: 'net', plugins: [{ type: 'calico' }] });

test('a configuration of its own leaves the others as they are', async (t) => {
  const { installer, confDir, binDir, results } = open(t, true, { '10-calico.conflist': list });
  await installer.start();
  ok(installer.installed);
  deepEqual(results, ['success']);
  equal(readFileSync(join(confDir, '10-calico.conflist'), 'utf8'), list);
  match(readFileSync(join(confDir, ownConfigName), 'utf8'), /calico[^]*istio-cni/);
  match(readFileSync(join(binDir, 'istio-cni'), 'utf8'), /^#!\/opt\/cni\/bin\/istio-cni\.d\/node\n/);
  await installer.uninstall();
  deepEqual(readdirSync(confDir), ['10-calico.conflist']);
  deepEqual(readdirSync(binDir), []);
});

test('chained into a single configuration, that becomes a list, and itself again at the end', async (t) => {
  const { installer, confDir } = open(t, false, { '10-old.conf': single, '99-other.conflist': list });
  await installer.start();
  deepEqual(readdirSync(confDir).toSorted(), ['10-old.conf.ambit-saved', '10-old.conflist', '99-other.conflist']);
  match(readFileSync(join(confDir, '10-old.conflist'), 'utf8'), /bridge[^]*istio-cni/);
  equal(readFileSync(join(confDir, '99-other.conflist'), 'utf8'), list);
  await installer.uninstall();
  deepEqual(readdirSync(confDir).toSorted(), ['10-old.conf', '99-other.conflist']);
  equal(readFileSync(join(confDir, '10-old.conf'), 'utf8'), single);
});

test('chained into a list, nothing but our plugin is added and taken away', async (t) => {
  const { installer, confDir } = open(t, false, { '10-calico.conflist': list });
  await installer.start();
  match(readFileSync(join(confDir, '10-calico.conflist'), 'utf8'), /calico[^]*istio-cni/);
  await installer.uninstall();
  deepEqual(JSON.parse(readFileSync(join(confDir, '10-calico.conflist'), 'utf8')), JSON.parse(list));
});

test('where another configuration comes first by its name, ours is chained into that', async (t) => {
  const meta = JSON.stringify({ cniVersion: '0.3.1', name: 'meta', type: 'multus' });
  const { installer, confDir, clock } = open(t, true, { '10-calico.conflist': list });
  await installer.start();
  ok(readdirSync(confDir).includes(ownConfigName));
  // Installed after us.
  writeFileSync(join(confDir, '00-multus.conf'), meta);
  for (let i = 0; i < 2000 && !existsSync(join(confDir, '00-multus.conflist')); i++) {
    clock.advance(10_000);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await installer.close();
  const [first = ''] = networkFiles(readdirSync(confDir));
  match(readFileSync(join(confDir, first), 'utf8'), /multus[^]*istio-cni/);
  ok(!readdirSync(confDir).includes(ownConfigName));
  await installer.uninstall();
  deepEqual(readdirSync(confDir).toSorted(), ['00-multus.conf', '10-calico.conflist']);
  equal(readFileSync(join(confDir, '00-multus.conf'), 'utf8'), meta);
});

test('without a network there is nothing to be chained into, and that is said', async (t) => {
  const { installer, results } = open(t, true, {});
  await installer.start();
  equal(installer.installed, false);
  deepEqual(results, ['failure']);
});

test('the plugin loads a handful of small modules', async () => {
  const modules = await pluginModules();
  deepEqual([...modules.keys()].toSorted(), [
    'lib/api/names.js',
    'lib/bin/cni-plugin.js',
    'lib/cni/enrolment.js',
    'lib/cni/plugin/admit-pod.js',
    'lib/cni/plugin/agent-call.js',
    'lib/cni/plugin/pod-lookup.js',
    'lib/cni/plugin/run-plugin.js',
  ]);
  for (const text of modules.values()) equal(/from '\.[^']*\.ts'|import type/.test(text), false);
});
