/** The command line as its user meets it: whole processes, exit codes, what is printed, and what comes back after `down`. */
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { load } from 'js-yaml';
import { kinds } from '../../src/api/index.ts';
import { loadKubeconfig, openKubeClient } from '../../src/kube/index.ts';
import { silentLog } from '../../src/lib/log.ts';
import { documents, launcher } from '../support/mesh.ts';
import { processesOf } from '../support/processes.ts';
import { eventually, run, start, type RunOptions, type RunResult } from '../support/run.ts';

interface StatusRow {
  readonly component: string;
  readonly node: string;
  readonly pid: number;
  readonly ready: boolean;
  readonly since: string;
}

const podSpec = {
  terminationGracePeriodSeconds: 0,
  containers: [{ name: 'main', image: 'none', command: ['sleep', 'infinity'] }],
};
const pod = (name: string): string =>
  JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name, labels: { app: name } }, spec: podSpec });
const deployment = (name: string, replicas: number): string =>
  JSON.stringify({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: podSpec },
    },
  });

let folder: string;
const states: string[] = [];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ambit-cli-'));
});
after(async () => {
  for (const state of states) await run([launcher, 'down', '--purge', '--state', state]);
  await rm(folder, { recursive: true, force: true });
});

/** Runs `ambit` with a home of its own, as somebody who has no cluster. */
function ambit(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return run([launcher, ...args], { ...options, env: { HOME: folder, KUBECONFIG: '', ...options.env } });
}

/** A mesh's state folder; what runs there ends with the tests. */
function newState(name: string): string {
  const state = join(folder, name);
  states.push(state);
  return state;
}

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

function assertOneLine(result: RunResult, code: number, message: RegExp): void {
  const lines = result.stderr.trimEnd().split('\n');
  // Progress may come before; the last line is the error, and there is one.
  assert.match(lines.at(-1) ?? '', message, result.stderr);
  assert.equal(lines.filter((line) => line.startsWith('ambit: ')).length, 1, result.stderr);
  assert.doesNotMatch(result.stderr, /\n {4}at /, 'a stack');
  assert.equal(result.code, code);
}

describe('without a mesh', () => {
  it('help lists every command', async () => {
    const { code, stdout } = await ambit(['help']);
    assert.equal(code, 0);
    for (const name of [
      'demo',
      'up',
      'down',
      'status',
      'logs',
      'exec',
      'port-forward',
      'waypoint',
      'ztunnel-config',
      'version',
      'completion',
    ])
      assert.match(stdout, new RegExp(`^  ${name}\\b`, 'm'));
  });

  it('a wrong command line ends with 2 and one line', async () => {
    assertOneLine(await ambit(['nothing']), 2, /^ambit: unknown command 'nothing': run 'ambit help'$/);
    assertOneLine(await ambit(['up', '--wrong']), 2, /^ambit: unknown option '--wrong': run 'ambit help up'$/);
    assertOneLine(await ambit([]), 2, /^ambit: no command: run 'ambit help' to list them$/);
  });

  it('status ends with 1 and says how to start', async () => {
    assertOneLine(await ambit(['status']), 1, /^ambit: no mesh runs in .*\.ambit: start one with 'ambit up'$/);
  });

  it('up refuses manifests that it cannot read, before it starts anything', async () => {
    const state = newState('unused');
    const up = (path: string): Promise<RunResult> => ambit(['up', '--state', state, '-f', path]);
    assertOneLine(await up(join(folder, 'none.yaml')), 1, /^ambit: .* there is no file or folder .*none\.yaml$/);
    assertOneLine(
      await up(await file('bad.yaml', 'a: [1\nb: 2\n')),
      1,
      /^ambit: Cannot use the manifests: .*bad\.yaml, line \d+: /,
    );
    assertOneLine(await ambit(['status', '--state', state]), 1, /no mesh runs/);
  });

  it('completion works in bash, and ends without a word when its reader goes', async () => {
    const script = `
      source <(${launcher} completion bash)
      COMP_WORDS=(${launcher} ztunnel-config w) COMP_CWORD=2
      _ambit && echo "\${COMPREPLY[@]}"
      ${launcher} help | true
    `;
    const { stdout, stderr } = await run(['bash', '-c', script], { env: { HOME: folder } });
    assert.equal(stdout.trim(), 'workloads');
    assert.equal(stderr, '');
  });
});

describe('a mesh', () => {
  let state: string;
  const inMesh = (args: readonly string[], options?: RunOptions): Promise<RunResult> => {
    const end = args.indexOf('--');
    const [flags, rest] = end < 0 ? [args, []] : [args.slice(0, end), args.slice(end)];
    return ambit([...flags, '--state', state, ...rest], options);
  };
  const podsOf = async (): Promise<{ name: string; uid: string; phase: string; ready: boolean }[]> => {
    const client = openKubeClient(loadKubeconfig(join(state, 'kubeconfig')), { log: silentLog() });
    try {
      return (await client.list(kinds.Pod, { namespace: 'default' })).items
        .map(({ metadata, status }) => ({
          name: metadata.name ?? '',
          uid: metadata.uid ?? '',
          phase: status?.phase ?? '',
          ready: status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false,
        }))
        .toSorted((a, b) => a.name.localeCompare(b.name));
    } finally {
      await client.close();
    }
  };
  const rows = async (): Promise<StatusRow[]> =>
    JSON.parse((await inMesh(['status', '-o', 'json'])).stdout) as StatusRow[];

  before(async () => {
    state = newState('main');
    const manifests = await file('main.yaml', documents(pod('bare'), deployment('web', 2)));
    const { code, stdout, stderr } = await ambit(['up', '--state', state, '-f', manifests]);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, `export KUBECONFIG=${join(state, 'kubeconfig')}\n`);
  });

  it('status lists every process, with pids of this machine, in every format', async () => {
    // Not all may have the time to say that they are ready: then it ends with 1.
    const found = await eventually(async () => {
      const { code, stdout } = await inMesh(['status', '-o', 'json']);
      return code === 0 && (JSON.parse(stdout) as StatusRow[]);
    }, 'all are ready');
    assert.deepEqual(found.map(({ component, node }) => `${component} ${node}`.trim()).toSorted(), [
      'apiserver',
      'control',
      'forwarder',
      'init',
      'node-agent node-1',
      'node-agent node-2',
      'node-runtime node-1',
      'node-runtime node-2',
      'supervisor',
      'ztunnel node-1',
      'ztunnel node-2',
    ]);
    for (const row of found) {
      assert.equal(row.ready, true);
      assert.ok(Date.parse(row.since) <= Date.now());
      const commandLine = await readFile(`/proc/${row.pid}/cmdline`, 'utf8');
      assert.ok(commandLine.includes(row.component), commandLine);
    }
    await eventually(async () => {
      assert.deepEqual(load((await inMesh(['status', '-o', 'yaml'])).stdout), found);
      return true;
    }, 'the same in YAML');
    const table = (await inMesh(['status'])).stdout.split('\n');
    assert.match(table[0] ?? '', /^COMPONENT\s+NODE\s+PID\s+READY\s+AGE$/);
    assert.equal(table.length, found.length + 2);
  });

  it('a second up applies to what runs, and again changes nothing', async () => {
    const before = await rows();
    const more = await file('more.yaml', documents(pod('bare'), deployment('web', 3)));
    for (let round = 0; round < 2; round++) {
      const { code, stderr } = await inMesh(['up', '-f', more]);
      assert.equal(code, 0, stderr);
    }
    assert.equal((await podsOf()).filter(({ name, ready }) => name.startsWith('web-') && ready).length, 3);
    assert.deepEqual(
      (await rows()).map(({ pid }) => pid),
      before.map(({ pid }) => pid),
    );
  });

  it('up refuses to change what a mesh was started with', async () => {
    assertOneLine(await inMesh(['up', '--nodes', '3']), 1, /runs already with 2 nodes: run 'ambit down' first/);
    assertOneLine(await inMesh(['up', '--image', 'a=b']), 1, /runs already with another image table/);
  });

  it('up says which document the API refused, and why', async () => {
    const wrong = JSON.parse(deployment('wrong', 1)) as { spec: { selector: { matchLabels: Record<string, string> } } };
    wrong.spec.selector.matchLabels['app'] = 'other';
    const manifests = await file('refused.yaml', documents(pod('bare'), JSON.stringify(wrong)));
    assertOneLine(
      await inMesh(['up', '-f', manifests]),
      1,
      /^ambit: Cannot apply Deployment "wrong" \(.*refused\.yaml, document 2\): .*selector.*does not match template/,
    );
    const gizmo = await file('gizmo.yaml', 'apiVersion: example.com/v1\nkind: Gizmo\nmetadata: {name: g}\n');
    assertOneLine(
      await inMesh(['up', '-f', gizmo]),
      1,
      /^ambit: Cannot apply Gizmo "g" \(.*gizmo\.yaml, document 1\): the mesh's API has no kind Gizmo in example\.com\/v1$/,
    );
  });

  it('up names the pods that do not become ready in time, and why', async () => {
    const strange = pod('strange')
      .replace('"command":["sleep","infinity"]', '"args":[]')
      .replace('"none"', '"example.com/strange:1"');
    const manifests = await file('strange.yaml', strange);
    const client = openKubeClient(loadKubeconfig(join(state, 'kubeconfig')), { log: silentLog() });
    // When nothing has been tried yet there is no reason.
    assertOneLine(
      await inMesh(['up', '--timeout', '1', '-f', manifests]),
      1,
      /^ambit: Not ready in time: Pod default\/strange/,
    );
    await eventually(async () => {
      const { status } = await client.get(kinds.Pod, 'strange', 'default');
      return status?.containerStatuses?.[0]?.state?.waiting?.reason?.includes('Image');
    }, 'its image is looked for');
    assertOneLine(
      await inMesh(['up', '--timeout', '1', '-f', manifests]),
      1,
      /^ambit: Not ready in time: Pod default\/strange \(strange: main waits: (ErrImagePull|ImagePullBackOff), .*--image 'example\.com\/strange:1=COMMAND'/,
    );
    await client.delete(kinds.Pod, 'strange', 'default', { gracePeriodSeconds: 0 });
    await client.close();
  });

  it('exec passes standard streams, arguments and the exit code', async () => {
    const script = 'cat; echo "$1" >&2; exit 7';
    const result = await inMesh(['exec', 'bare', '--', 'sh', '-c', script, 'sh', '--state  x'], {
      input: 'in\n\u00e9',
    });
    assert.deepEqual(result, { code: 7, stdout: 'in\n\u00e9', stderr: '--state  x\n' });
    assert.equal((await inMesh(['exec', 'deploy/web', '--', 'hostname'])).stdout.replace(/-.*/s, ''), 'web');
    assert.equal((await inMesh(['exec', 'bare', '-c', 'main', '--', 'hostname'])).stdout, 'bare\n');
  });

  it('exec ends with the command that a signal ended', async () => {
    const result = await inMesh(['exec', 'bare', '--', 'sh', '-c', 'kill -KILL $$']);
    assert.equal(result.code, 137);
    const child = start([launcher, 'exec', '--state', state, 'bare', '--', 'sh', '-c', 'echo up; exec sleep 600'], {
      env: { HOME: folder, KUBECONFIG: '' },
    });
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    child.kill('SIGTERM');
    assert.equal(await new Promise((resolve) => child.once('exit', resolve)), 143);
  });

  it("exec --node is in the node's network, with the caller's files", async () => {
    const marker = await file('marker', 'here');
    const { stdout } = await inMesh([
      'exec',
      '--node',
      'node-2',
      '--',
      'sh',
      '-c',
      `ip -4 -o addr show eth0; cat ${marker}`,
    ]);
    assert.match(stdout, /172\.30\.1\.2\/16/);
    assert.match(stdout, /here$/);
    assertOneLine(
      await inMesh(['exec', '--node', 'node-9', '--', 'true']),
      1,
      /No node "node-9": the mesh has node-1, node-2/,
    );
  });

  it('exec says what there is instead of what was asked for', async () => {
    assertOneLine(await inMesh(['exec', 'none', '--', 'true']), 1, /No pod "none" in namespace "default"/);
    assertOneLine(await inMesh(['exec', 'deploy/none', '--', 'true']), 1, /No deploy "none" in namespace "default"/);
    assertOneLine(
      await inMesh(['exec', 'bare', '-c', 'side', '--', 'true']),
      1,
      /No container "side" in pod "bare": it has main/,
    );
  });

  it('logs show the control plane, and the ztunnel of one node or of all', async () => {
    const control = await inMesh(['logs', 'control']);
    assert.equal(control.code, 0);
    assert.ok(
      control.stdout
        .trim()
        .split('\n')
        .every((line) => typeof JSON.parse(line) === 'object'),
    );
    const one = await inMesh(['logs', 'ztunnel', '--node', 'node-1']);
    assert.equal(one.code, 0);
    assert.ok(one.stdout.length > 0);
    assert.doesNotMatch(one.stdout, /^\[node-/m);
    const all = await inMesh(['logs', 'ztunnel']);
    assert.match(all.stdout, /^\[node-1\] /m);
    assert.match(all.stdout, /^\[node-2\] /m);
    assertOneLine(await inMesh(['logs', 'ztunnel', '--node', 'node-9']), 1, /No ztunnel pod on node "node-9"/);
    for (const component of ['apiserver', 'supervisor', 'forwarder', 'node-agent'])
      assert.equal((await inMesh(['logs', component])).code, 0);
    assert.equal((await inMesh(['logs', 'node-runtime', '--node', 'node-2'])).code, 0);
  });

  it('ztunnel-config prints the same rows in every format', async () => {
    const json = await inMesh(['ztunnel-config', 'workloads', '--node', 'node-1', '-o', 'json']);
    const found = JSON.parse(json.stdout) as { name: string; node: string }[];
    assert.ok(found.some(({ name }) => name === 'bare'));
    const yaml = load((await inMesh(['ztunnel-config', 'workloads', '--node', 'node-1', '-o', 'yaml'])).stdout);
    assert.deepEqual((yaml as unknown[]).length, found.length);
    const table = (await inMesh(['ztunnel-config', 'workloads', '--node', 'node-1'])).stdout;
    assert.match(table, /^NAMESPACE\s+POD NAME\s+ADDRESS\s+NODE\s+WAYPOINT\s+PROTOCOL\n/);
    assert.match((await inMesh(['ztunnel-config', 'services'])).stdout, /^NAMESPACE\s+SERVICE NAME/);
    assertOneLine(
      await inMesh(['ztunnel-config', 'workloads', '--node', 'node-9']),
      1,
      /No ztunnel on node "node-9": there are ztunnels on node-1, node-2/,
    );
  });

  it('a certificate shown for a pod is its own, until when it holds, in every format', async () => {
    const shown = async (...words: readonly string[]): Promise<{ identity: string; type: string }[]> =>
      JSON.parse((await inMesh(['ztunnel-config', 'certificates', ...words, '-o', 'json'])).stdout);
    const client = openKubeClient(loadKubeconfig(join(state, 'kubeconfig')), { log: silentLog() });
    const setMode = (mode: string | null): Promise<unknown> =>
      client.patch(
        kinds.Pod,
        'bare',
        'default',
        { metadata: { labels: { 'istio.io/dataplane-mode': mode } } },
        { type: 'merge' },
      );
    try {
      await setMode('ambient');
      const rows = await eventually(async () => {
        const found = await shown('bare');
        return found.length > 0 ? found : undefined;
      }, 'the pod has a certificate');
      assert.partialDeepStrictEqual(rows[0], {
        identity: 'spiffe://cluster.local/ns/default/sa/default',
        type: 'Leaf',
      });
      assert.equal(new Set(rows.map(({ identity }) => identity)).size, 1);
      const { stdout } = await inMesh(['zc', 'cert', 'bare', '-o', 'wide']);
      assert.match(stdout, /sa\/default +Leaf +Available +true +[0-9a-f]+ .* (23h|24h|1d) +-\n/);
    } finally {
      await setMode(null);
      await client.close();
    }
  });

  it('log levels are set on every ztunnel, and those that say nothing are refused', async () => {
    const set = await inMesh(['ztunnel-config', 'log', '--level', 'info,pool:debug']);
    const answers = set.stdout.match(/^current log level is info,data\.pool:debug$/gm);
    assert.equal(answers?.length, 2, set.stdout + set.stderr);
    assertOneLine(
      await inMesh(['ztunnel-config', 'log', '--level', 'info,poole:debug']),
      2,
      /^ambit: Unknown scope "poole": there are access, admin, certificates, data, data\.dns, .*, zds$/,
    );
    assert.match((await inMesh(['zc', 'log', '--node', 'node-1'])).stdout, /is info,data\.pool:debug$/m);
    assert.match((await inMesh(['zc', 'log', '--reset'])).stdout, /is info$/m);
  });

  it('completion knows the pods, nodes and namespaces of the mesh', async () => {
    const words = async (...line: readonly string[]): Promise<string[]> =>
      (await ambit(['complete', '--', ...line])).stdout.split('\n');
    assert.ok((await words('exec', '--state', state)).includes('bare'));
    assert.ok((await words('zc', 'cons', '--state', state)).includes('bare.default'));
    assert.deepEqual((await words('zc', 'all', '--state', state, '--node')).slice(0, 2), ['node-1', 'node-2']);
    assert.ok((await words('exec', '--state', state, '-n')).includes('istio-system'));
  });

  it('--kubeconfig adds a context to a file, and reads it', async () => {
    const config = await file(
      'config',
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'work', cluster: { server: 'https://work.invalid' } }],
        users: [{ name: 'work', user: {} }],
        contexts: [{ name: 'work', context: { cluster: 'work', user: 'work' } }],
        'current-context': 'work',
      }),
    );
    const { code, stdout } = await inMesh(['up', '--kubeconfig', config]);
    assert.deepEqual([code, stdout], [0, `export KUBECONFIG=${config}\n`]);
    const merged = load(await readFile(config, 'utf8')) as { contexts: { name: string }[]; 'current-context': string };
    assert.deepEqual(
      merged.contexts.map(({ name }) => name),
      ['work', 'ambit'],
    );
    const elsewhere = ['ztunnel-config', 'services', '--state', join(folder, 'no-mesh')];
    assert.equal((await ambit([...elsewhere, '--kubeconfig', config])).code, 0);
    assert.equal((await ambit(elsewhere, { env: { KUBECONFIG: config } })).code, 0);
    assertOneLine(
      await ambit([...elsewhere, '--kubeconfig', join(folder, 'absent')]),
      1,
      /^ambit: Cannot use kubeconfig/,
    );
  });

  it('another mesh runs beside it, and ends alone', async () => {
    const other = newState('other');
    const { code, stderr } = await ambit([
      'up',
      '--nodes',
      '1',
      '--state',
      other,
      '-f',
      await file('alone.yaml', pod('alone')),
    ]);
    assert.equal(code, 0, stderr);
    assert.equal((await ambit(['exec', '--state', other, 'alone', '--', 'hostname'])).stdout, 'alone\n');
    assertOneLine(await ambit(['exec', '--state', other, 'bare', '--', 'true']), 1, /No pod "bare"/);
    const mine = await rows();
    assert.equal((await ambit(['down', '--purge', '--state', other])).code, 0);
    assert.deepEqual(
      (await rows()).map(({ pid }) => pid),
      mine.map(({ pid }) => pid),
    );
    await eventually(async () => (await rows()).every(({ ready }) => ready), 'all of it are ready');
  });

  it('down is idempotent, and what was there comes back with the next up', async () => {
    const before = await podsOf();
    for (const message of [/the mesh is down\n$/, /no mesh was running\n$/]) {
      const { code, stderr } = await inMesh(['down']);
      assert.equal(code, 0);
      assert.match(stderr, message);
    }
    assert.equal((await inMesh(['status'])).code, 1);
    assertOneLine(await inMesh(['exec', 'bare', '--', 'true']), 1, /No mesh runs in/);
    assert.equal((await inMesh(['up'])).code, 0);
    await eventually(async () => {
      const now = await podsOf();
      assert.deepEqual(now, before);
      return true;
    }, 'the same pods run again');
    assert.ok(before.every(({ phase, ready }) => phase === 'Running' && ready));
    assert.equal((await inMesh(['exec', 'bare', '--', 'hostname'])).stdout, 'bare\n');
  });

  it('what was there comes back also when the machine went down', async () => {
    const before = await podsOf();
    const record = JSON.parse(await readFile(join(state, 'mesh.json'), 'utf8')) as { init: { pid: number } };
    process.kill(record.init.pid, 'SIGKILL');
    await eventually(async () => ((await inMesh(['status'])).code === 1 ? true : undefined), 'the mesh is gone');
    assert.equal((await inMesh(['up', '-f', join(folder, 'more.yaml')])).code, 0);
    await eventually(async () => {
      assert.deepEqual(await podsOf(), before);
      return (await inMesh(['exec', 'bare', '--', 'hostname'])).stdout === 'bare\n';
    }, 'the same pods run again');
  });

  it('down ends a mesh whose folder was removed under it', async () => {
    await rm(state, { recursive: true, force: true });
    assert.notDeepEqual(processesOf(state), []);
    assert.equal((await inMesh(['down'])).code, 0);
    assert.deepEqual(processesOf(state), []);
    assert.equal((await inMesh(['up', '--nodes', '1'])).code, 0);
  });

  it('down --purge leaves nothing', async () => {
    assert.equal((await inMesh(['down', '--purge'])).code, 0);
    await assert.rejects(readFile(join(state, 'mesh.json')));
    assert.equal((await inMesh(['down', '--purge'])).code, 0);
  });

  it('up says which file it cannot write its kubeconfig into', async () => {
    const notes = await file('notes', 'kind: Pod\n');
    await chmod(notes, 0o600);
    const result = await inMesh(['up', '--nodes', '1', '--kubeconfig', notes]);
    assertOneLine(result, 1, /Cannot add a context to .*notes: it is not a kubeconfig; choose another file/);
    assert.equal((await inMesh(['status'])).code, 1, 'nothing was started');
  });
});
