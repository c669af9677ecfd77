/**
 * Streams into pods: commands, terminals, ports and logs, by `ambit` and by kubectl over both of its protocols. The mesh's API
 * server is the embedded one, or Kubernetes' own where test/support/mesh.ts is told to take it.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { loadKubeconfig, openExec, openKubeClient } from '../../src/kube/index.ts';
import { messageOf } from '../../src/lib/errors.ts';
import { silentLog } from '../../src/lib/log.ts';
import { kubectl, noKubectl } from '../support/kubectl.ts';
import { documents, openTestMesh, programs, type TestMesh } from '../support/mesh.ts';
import { eventually, run, start, type RunOptions, type RunResult } from '../support/run.ts';

const onKubernetes = Boolean(process.env['AMBIT_TEST_KUBERNETES']);

const talker = 'n=0; while :; do echo out $n; echo err $n >&2; n=$((n+1)); sleep 0.2; done';
const manifests = documents(
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'box',
      labels: { app: 'box' },
      annotations: { 'kubectl.kubernetes.io/default-container': 'main' },
    },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        { name: 'talker', image: 'none', command: ['sh', '-c', talker] },
        {
          name: 'main',
          image: 'none',
          command: [process.execPath, join(programs, 'echo-server.ts'), '7000'],
          env: [{ name: 'GREETING', value: 'hello there' }],
          workingDir: '/opt/work',
          ports: [{ name: 'echo', containerPort: 7000 }],
        },
      ],
    },
  }),
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'restarted' },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: 'main',
          image: 'none',
          command: ['sh', '-c', '[ -e /tmp/never ]; date; echo run of it; sleep 2; exit 1'],
        },
      ],
    },
  }),
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'box' },
    spec: { selector: { app: 'box' }, ports: [{ name: 'tcp', port: 80, targetPort: 'echo' }] },
  }),
);

/** A command is started before the client tells the size of its terminal. */
const sized = 'until [ "$(stty size)" != "0 0" ]; do sleep 0.05; done;';

const digest = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

/** Sends the bytes to a local port, and resolves to the digest of as many that come back. */
async function echo(port: number, data: Buffer): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port });
  const chunks: Buffer[] = [];
  let size = 0;
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= data.length) socket.destroy();
  });
  socket.write(data);
  await once(socket, 'close');
  return digest(Buffer.concat(chunks));
}

describe('streams into pods', () => {
  let mesh: TestMesh;
  let input: string;
  before(async () => {
    mesh = await openTestMesh({ nodes: 1, manifests });
    input = join(mesh.state, 'input');
    await writeFile(input, randomBytes(20_000_000));
  });
  after(() => mesh[Symbol.asyncDispose]());

  const inBox = (command: readonly string[], options: RunOptions = {}): Promise<RunResult> =>
    mesh.ambit(['exec', 'box', '--', ...command], options);
  /** Runs a shell line with `ambit` as "$@" on a terminal of 30 by 100. */
  const onTerminal = (args: readonly string[], typed = ''): Promise<RunResult> => {
    const words = [join(import.meta.dirname, '../../ambit'), ...args].map((word) => `'${word}'`).join(' ');
    return run(['script', '-qec', `stty rows 30 cols 100; ${words}`, '/dev/null'], {
      input: typed,
      env: { KUBECONFIG: mesh.kubeconfig },
    });
  };
  /** A program that forwards. */
  interface Forwarder extends AsyncDisposable {
    readonly ports: readonly number[];
    readonly exit: Promise<unknown[]>;
    said(): string;
  }
  /** Resolves once the program says which `count` ports of the loopback it forwards. */
  const forwarder = async (
    command: readonly string[],
    count: number,
    env: Record<string, string> = {},
  ): Promise<Forwarder> => {
    const child = start(command, { env });
    let said = '';
    child.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const exit = once(child, 'exit');
    const end = async (): Promise<void> => {
      child.kill('SIGINT');
      await exit;
    };
    const ports = (): number[] => [...said.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port));
    try {
      await eventually(async () => ports().length === count, `${count} ports to be there: ${said}`);
    } catch (error) {
      await end();
      throw error;
    }
    return { ports: ports(), said: () => said, exit, [Symbol.asyncDispose]: end };
  };
  /** Runs a program as long as `work` does. */
  const beside = async (child: ChildProcess, work: () => Promise<unknown>): Promise<void> => {
    const exit = once(child, 'exit');
    try {
      await work();
    } finally {
      child.kill('SIGKILL');
      await exit;
    }
  };

  it('a command has streams, environment, folder and exit code of its own', async () => {
    const result = await inBox(
      ['sh', '-c', 'cat; pwd; echo "$GREETING" "$1"; hostname; echo no >&2; exit 7', 'sh', 'a  b'],
      {
        input: 'given\n',
      },
    );
    assert.deepEqual(result, { code: 7, stdout: 'given\n/opt/work\nhello there a  b\nbox\n', stderr: 'no\n' });
  });

  it('a command is confined as its container is', async () => {
    const fields = '/^(Cap|NoNewPrivs|Seccomp:)/';
    const own = await inBox(['awk', fields, '/proc/1/status']);
    const theirs = await inBox(['awk', fields, '/proc/self/status']);
    const bounded = (status: string): string =>
      status
        .split('\n')
        .filter((line) => /CapBnd|NoNewPrivs/.test(line))
        .join();
    assert.equal(bounded(theirs.stdout), bounded(own.stdout));
    assert.match(theirs.stdout, /CapBnd:\s+0+\n/);
    const namespaces =
      'for n in mnt net pid ipc uts user; do readlink /proc/self/ns/$n /proc/1/ns/$n; done | sort -u | wc -l';
    assert.equal((await inBox(['sh', '-c', namespaces])).stdout.trim(), '6');
  });

  it('20 MB go in and come out unchanged', async () => {
    const result = await run([
      'sh',
      '-c',
      `"$0" exec box --state "$1" -- cat <"$2" | sha256sum`,
      join(import.meta.dirname, '../../ambit'),
      mesh.state,
      input,
    ]);
    assert.equal(result.stdout.split(' ')[0], digest(await readFile(input)), result.stderr);
  });

  it('what cannot run is told, and why', async () => {
    const missing = await inBox(['nosuch']);
    assert.equal(missing.code, 1);
    assert.match(
      missing.stderr,
      /^ambit: Cannot run the command: .*exec: "nosuch": executable file not found in \$PATH/,
    );
    const folder = await inBox(['/etc']);
    assert.match(folder.stderr, /exec: "\/etc": permission denied/);
    const container = await mesh.ambit(['exec', 'box', '-c', 'none', '--', 'true']);
    assert.match(container.stderr, /^ambit: No container "none" in pod "box": it has main, talker\n$/);
    assert.match(
      (await mesh.ambit(['exec', 'none', '--', 'true'])).stderr,
      /^ambit: No pod "none" in namespace "default"/,
    );
  });

  it('a terminal has a size, control characters and the exit code', async () => {
    const result = await onTerminal([
      'exec',
      '-it',
      'box',
      '--',
      'sh',
      '-c',
      `${sized} tty; stty size; echo $TERM; exit 3`,
    ]);
    assert.equal(result.code, 3, result.stdout);
    // The end of script's own input, which comes whenever it likes.
    assert.match(result.stdout.replaceAll('^@', ''), /^\/dev\/pts\/\d+\r\n30 100\r\nxterm\r\n/);
    const client = openKubeClient(loadKubeconfig(mesh.kubeconfig), { log: silentLog() });
    const command = ['bash', '--norc', '--noediting'];
    const shell = await openExec(client, {
      namespace: 'default',
      pod: 'box',
      container: 'main',
      command,
      stdin: true,
      tty: true,
    });
    let said = '';
    shell.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const says = (what: RegExp): Promise<true> =>
      eventually(async () => (what.test(said) ? true : undefined), `${what} in a terminal`);
    await says(/[$#] $/);
    shell.resize(120, 50);
    // The size may come after what is typed.
    shell.stdin.write('until [ "$(stty size)" = "50 120" ]; do sleep 0.05; done; echo size $?\n');
    await says(/^size 0/m);
    // It is the terminal's command once it speaks.
    shell.stdin.write("sh -c 'echo asleep; exec sleep 600'\n");
    await says(/^asleep\r\n$/m);
    shell.stdin.write('\x03');
    await says(/\^C\r\n.*[$#] $/s);
    shell.stdin.write('echo status $?; exit 9\n');
    await says(/status 130/);
    assert.equal(await shell.exitCode, 9);
    await client.close();
  });

  it('a command ends with its client, also one that does not listen', async () => {
    for (const [script, flags] of [
      ['echo $$; exec sleep 600', []],
      ['trap "" TERM HUP; echo $$; while :; do sleep 1; done', []],
    ] as const) {
      const child = start([
        join(import.meta.dirname, '../../ambit'),
        'exec',
        ...flags,
        '--state',
        mesh.state,
        'box',
        '--',
        'sh',
        '-c',
        script,
      ]);
      const [pid] = (await once(child.stdout ?? child, 'data')) as [Buffer];
      child.kill('SIGKILL');
      await eventually(
        async () => ((await inBox(['kill', '-0', pid.toString().trim()])).code === 0 ? undefined : true),
        `process ${pid.toString().trim()} to be gone`,
      );
    }
  });

  it('thirty commands run at once', async () => {
    const client = openKubeClient(loadKubeconfig(mesh.kubeconfig), { log: silentLog() });
    const results = await Promise.all(
      Array.from({ length: 30 }, async (_, i) => {
        const command = ['sh', '-c', `cat; echo ${i}; exit ${i}`];
        const remote = await openExec(client, {
          namespace: 'default',
          pod: 'box',
          container: 'main',
          command,
          stdin: true,
          tty: false,
        });
        remote.stdin.end('in ');
        remote.stderr.resume();
        return { said: await text(remote.stdout), code: await remote.exitCode };
      }),
    );
    await client.close();
    assert.deepEqual(
      results,
      Array.from({ length: 30 }, (_, i) => ({ said: `in ${i}\n`, code: i })),
    );
  });

  it('ambit port-forward leads to a pod and to a Service, many at a time', async () => {
    const command = [join(import.meta.dirname, '../../ambit'), 'port-forward', '--state', mesh.state];
    await using forwarding = await forwarder([...command, 'svc/box', ':80', ':tcp'], 2);
    const data = Array.from({ length: 8 }, () => randomBytes(2_000_000));
    const answers = await Promise.all(data.map((each, i) => echo(forwarding.ports[i % 2] ?? 0, each)));
    assert.deepEqual(answers, data.map(digest));
    const refused = await mesh.ambit(['port-forward', 'box', 'nothing']);
    assert.match(refused.stderr, /^ambit: No port "nothing" in pod\/box: it has echo\n$/);
  });

  it('ambit port-forward carries the end of either side by itself', async () => {
    const answerAtTheEnd =
      'net.createServer({ allowHalfOpen: true }, (c) => { let n = 0; c.on("data", (d) => (n += d.length)).on("end", () => c.end(String(n))); }).listen(7001, () => console.log("listening"))';
    const ambit = join(import.meta.dirname, '../../ambit');
    const access = ['--state', mesh.state];
    await using children = new AsyncDisposableStack();
    /** Resolves to the first that the program says. */
    const greeting = async (command: readonly string[]): Promise<string> => {
      const child = start(command);
      const exit = once(child, 'exit');
      children.defer(async () => {
        child.kill('SIGINT');
        await exit;
      });
      assert(child.stdout);
      const said = (await Promise.race([once(child.stdout, 'data'), exit])) as unknown[];
      return String(said[0]);
    };
    const listening = [ambit, 'exec', ...access, 'box', '--', process.execPath, '-e', answerAtTheEnd];
    assert.equal(await greeting(listening), 'listening\n');
    const forwarding = await greeting([ambit, 'port-forward', ...access, 'box', ':7001']);
    const port = Number(/^Forwarding 127\.0\.0\.1:(\d+) /.exec(forwarding)?.[1]);
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    socket.end(randomBytes(300_000));
    assert.equal(await text(socket), '300000');
  });

  it('a refused port is told, and the others go on', async () => {
    const command = [join(import.meta.dirname, '../../ambit'), 'port-forward', '--state', mesh.state];
    const forwarding = await forwarder([...command, 'box', ':7000', ':7'], 2);
    try {
      const [open = 0, refused = 0] = forwarding.ports;
      const socket = connect({ host: '127.0.0.1', port: refused }).resume();
      // It ends, in whichever way.
      socket.on('error', () => {});
      await new Promise((resolve) => socket.on('close', resolve));
      await eventually(async () => /Cannot forward to port 7 .*ECONNREFUSED/.test(forwarding.said()), 'the refusal');
      const data = randomBytes(100_000);
      assert.equal(await echo(open, data), digest(data));
    } finally {
      await forwarding[Symbol.asyncDispose]();
    }
    assert.deepEqual(await forwarding.exit, [0, null]);
  });

  it('who may not run commands is refused before anything runs', async () => {
    const { token } = await mesh.client.requestToken('default', 'default', { audiences: [], expirationSeconds: 600 });
    const access = loadKubeconfig(mesh.kubeconfig);
    const { clientCertPem: _, clientKeyPem: __, ...anonymous } = access;
    const client = openKubeClient({ ...anonymous, token: () => token }, { log: silentLog() });
    const options = {
      namespace: 'default',
      pod: 'box',
      container: 'main',
      command: ['true'],
      stdin: false,
      tty: false,
    };
    await assert.rejects(openExec(client, options), { code: 'kube.forbidden' });
    await client.close();
  });

  /** The log, or why there is none. */
  const logs = async (pod: string, query: string): Promise<string> => {
    const path = `/api/v1/namespaces/default/pods/${pod}/log?${query}`;
    try {
      return await (await mesh.client.raw({ method: 'GET', path })).body.text();
    } catch (error) {
      return messageOf(error);
    }
  };

  it('logs are cut as they are asked for', async () => {
    await eventually(
      async () => ((await logs('box', 'container=talker')).includes('err 9') ? true : undefined),
      'ten lines',
    );
    assert.match(await logs('box', 'container=talker&tailLines=2'), /^(out|err) \d+\n(out|err) \d+\n$/);
    // Two streams: which is read first is not said.
    assert.match(await logs('box', 'container=talker&limitBytes=5'), /^(out|err) 0$/);
    assert.match(
      await logs('box', 'container=talker&timestamps=true&limitBytes=40'),
      /^\d{4}-\d\d-\d\dT[\d:.]+Z (out|err) 0\n/,
    );
    assert.equal(
      await logs(
        'box',
        `container=talker&sinceTime=${encodeURIComponent(new Date(Date.now() + 60_000).toISOString())}`,
      ),
      '',
    );
    assert.match(await logs('box', 'container=none'), /container none is not valid for pod box/);
    assert.match(
      await logs('box', 'container=talker&previous=true'),
      /previous terminated container .*talker.* not found/,
    );
  });

  if (!onKubernetes) {
    it('logs of one stream alone', async () => {
      const errors = await logs('box', 'container=talker&stream=Stderr');
      assert.ok(errors.split('\n').every((line) => line === '' || line.startsWith('err ')));
      assert.match(await logs('box', 'container=talker&stream=Nothing'), /must be All, Stdout or Stderr/);
    });
  }

  describe('by kubectl', { skip: noKubectl }, () => {
    const env = (): Record<string, string> => ({ KUBECONFIG: mesh.kubeconfig, HOME: mesh.state });
    for (const [name, isWebSocket] of [
      ['WebSockets', 'true'],
      ['SPDY', 'false'],
    ] as const) {
      const settings = { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: isWebSocket, KUBECTL_PORT_FORWARD_WEBSOCKETS: isWebSocket };
      const call = (args: readonly string[], options: RunOptions = {}): Promise<RunResult> =>
        run([...(kubectl ?? []), ...args], { ...options, env: { ...env(), ...settings } });

      it(`exec over ${name}`, async () => {
        const { stderr, ...result } = await call(['exec', '-i', 'box', '--', 'sh', '-c', 'cat; echo no >&2; exit 5'], {
          input: 'in',
        });
        // As a kubelet does, the first stream begins with an empty message; kubectl may not know the stream yet, and says so.
        const said = stderr.replace(/^E.* Unknown stream id 1, discarding message\n/, '');
        assert.deepEqual(
          { ...result, stderr: said },
          { code: 5, stdout: 'in', stderr: 'no\ncommand terminated with exit code 5\n' },
        );
        const missing = await call(['exec', 'box', '--', 'nosuch']);
        assert.match(missing.stderr, /executable file not found in \$PATH/);
        const none = await call(['exec', 'box', '-c', 'none', '--', 'true']);
        assert.match(none.stderr, /container (none is not valid for pod box|not found)/);
      });

      it(`exec on a terminal over ${name}`, async () => {
        const words = [...(kubectl ?? []), 'exec', '-it', 'box', '--', 'sh', '-c', `${sized} tty; stty size; exit 4`];
        const line = `stty rows 30 cols 100; ${words.map((word) => `'${word}'`).join(' ')}`;
        const result = await run(['script', '-qec', line, '/dev/null'], { env: { ...env(), ...settings } });
        assert.equal(result.code, 4, result.stdout);
        assert.match(result.stdout.replaceAll('^@', ''), /\/dev\/pts\/\d+\r+\n30 100\r+\n/);
      });

      it(`cp over ${name}`, async () => {
        const folder = join(mesh.state, `copy-${name}`);
        await mkdir(folder);
        const there = await call(['cp', input, 'box:/tmp/copied', '-c', 'main']);
        assert.equal(there.code, 0, there.stderr);
        const back = await call(['cp', 'box:/tmp/copied', join(folder, 'back'), '-c', 'main']);
        assert.equal(back.code, 0, back.stderr);
        assert.equal(digest(await readFile(join(folder, 'back'))), digest(await readFile(input)));
      });

      it(`attach over ${name}`, async () => {
        const child = start([...(kubectl ?? []), 'attach', 'box', '-c', 'talker'], { env: { ...env(), ...settings } });
        let out = '';
        let err = '';
        child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
        child.stderr?.on('data', (chunk: Buffer) => (err += chunk.toString()));
        await beside(child, () =>
          eventually(async () => /out \d+\nout \d+\n/.test(out) && /err \d+\n/.test(err), 'output of the container'),
        );
      });

      it(`attach with input over ${name}`, async () => {
        const pod = `cat-${name.toLowerCase()}`;
        const words = ['run', '-i', '--quiet', '--restart=Never', '--rm', pod, '--image=busybox', '--'];
        const sum = await call([...words, 'sh', '-c', 'sha256sum; echo said >&2; exit 3'], {
          input: 'in\n'.repeat(9_999),
        });
        assert.equal(sum.stdout, `${digest(Buffer.from('in\n'.repeat(9_999)))}  -\n`, sum.stderr);
        assert.equal(sum.code, 3, sum.stderr);
      });

      it(`a shell on a terminal by run -it over ${name}`, async () => {
        const pod = `shell-${name.toLowerCase()}`;
        const words = ['run', '-it', '--rm', '--restart=Never', pod, '--image=busybox', '--', 'sh'];
        const line = [...(kubectl ?? []), ...words].map((word) => `'${word}'`).join(' ');
        const child = start(['script', '-qec', `stty rows 30 cols 100; ${line}`, '/dev/null'], {
          env: { ...env(), ...settings },
        });
        const exit = once(child, 'exit') as Promise<[number]>;
        let out = '';
        child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
        const says = (what: RegExp): Promise<true> =>
          eventually(async () => (what.test(out) ? true : undefined), `${what.source} in ${JSON.stringify(out)}`);
        // A prompt that came before the client was there comes again with the next line.
        await says(/prompt/);
        child.stdin?.write('\n');
        await says(/[#$] /);
        child.stdin?.write("tty; stty size; ps -o tty= -p $$; sh -c 'echo asleep; exec sleep 1000'\n");
        await says(/\/dev\/pts\/\d+\r\n30 100\r\npts\/\d+\s*\r\nasleep\r\n/);
        child.stdin?.write('\u0003');
        // What is typed with it is thrown away.
        await says(/\^C[^]*[#$] $/);
        child.stdin?.write('echo again; exit 6\n');
        await says(/\nagain\r\n/);
        const [code] = await exit;
        assert.equal(code, 6, out);
        await eventually(async () => {
          const { stderr } = await call(['get', 'pod', pod]);
          return /not found/.test(stderr) ? true : undefined;
        }, 'the removed pod');
      });

      it(`port-forward over ${name}: ten connections at once, 50 MB`, async () => {
        const command = [...(kubectl ?? []), 'port-forward', '--address=127.0.0.1', 'svc/box', ':80'];
        await using forwarding = await forwarder(command, 1, { ...env(), ...settings });
        const [port = 0] = forwarding.ports;
        const data = Array.from({ length: 10 }, () => randomBytes(5_000_000));
        assert.deepEqual(await Promise.all(data.map((each) => echo(port, each))), data.map(digest));
      });
    }

    it('logs: follow, previous, since', async () => {
      const call = (args: string): Promise<RunResult> => run([...(kubectl ?? []), ...args.split(' ')], { env: env() });
      const child = start([...(kubectl ?? []), 'logs', '-f', 'box', '-c', 'talker', '--tail=1'], { env: env() });
      let said = '';
      child.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()));
      await beside(child, () => eventually(async () => said.split('\n').length > 4, 'lines as they are written'));
      const previous = await eventually(async () => {
        const result = await call('logs restarted --previous');
        return result.code === 0 && result.stdout.includes('run of') ? result : undefined;
      }, 'the log of an earlier run');
      assert.match(previous.stdout, /run of it\n$/);
      assert.equal((await call('logs box -c talker --since=1s')).stdout.includes('out 0\n'), false);
      assert.match((await call('logs box -c talker --previous')).stderr, /previous terminated container/);
      assert.match((await call('logs box -c none')).stderr, /container none is not valid for pod box/);
    });
  });
});
