import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { runCli } from './index.ts';
import { createTestContext } from './test-context.ts';

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const commands = [
  'demo',
  'up',
  'down',
  'status',
  'logs',
  'exec',
  'port-forward',
  'waypoint',
  'explain',
  'proxy-config',
  'proxy-status',
  'ztunnel-config',
  'version',
  'completion',
];

describe('command line', () => {
  let home: string;
  before(() => {
    home = mkdtempSync(join(tmpdir(), 'ambit-home-'));
  });
  after(() => rmSync(home, { recursive: true }));

  const ambit = async (...args: string[]): Promise<Outcome> => {
    const context = createTestContext({ home });
    const code = await runCli(args, context);
    return { code, stdout: context.stdout(), stderr: context.stderr() };
  };
  const fails = async (code: number, message: RegExp, ...args: string[]): Promise<void> => {
    const outcome = await ambit(...args);
    assert.match(outcome.stderr, message);
    assert.equal(outcome.stderr.split('\n').length, 2, `one line: ${outcome.stderr}`);
    assert.equal(outcome.code, code);
  };

  it('lists its commands, and only those of users', async () => {
    for (const args of [['help'], ['--help'], ['-h']]) {
      const { code, stdout, stderr } = await ambit(...args);
      assert.equal(code, 0);
      assert.equal(stderr, '');
      const listed = [...stdout.matchAll(/^ {2}([a-z][a-z-]*)/gm)].map(([, name]) => name);
      assert.deepEqual(listed, [...commands, 'help']);
    }
  });

  for (const command of commands) {
    it(`explains ${command}`, async () => {
      const [help, flag] = await Promise.all([ambit('help', command), ambit(command, '--help')]);
      assert.equal(help.code, 0);
      assert.match(help.stdout, new RegExp(`^Usage: ambit ${command}`));
      assert.equal(flag.stdout, help.stdout);
      assert.equal(flag.code, 0);
    });
  }

  it('says its version', async () => {
    const { stdout } = await ambit('version');
    assert.match(stdout, /^ambit \d+\.\d+\.\d+\n$/);
    assert.equal((await ambit('--version')).stdout, stdout);
  });

  const usage: readonly (readonly [RegExp, ...string[]])[] = [
    [/^ambit: no command: run 'ambit help' to list them\n/],
    [/unknown command 'stats' \(Did you mean status\?\): run 'ambit help'/, 'stats'],
    [/unknown command 'stats': run 'ambit help'/, 'help', 'stats'],
    [/unknown option '--nope': run 'ambit help'/, '--nope'],
    [/unknown option '--wrong': run 'ambit help up'/, 'up', '--wrong'],
    [/'--nodes <n>' argument '0' is invalid.*at least 1: run 'ambit help up'/, 'up', '--nodes', '0'],
    [/'--timeout <seconds>' argument missing: run 'ambit help up'/, 'up', '--timeout'],
    [/Cannot use --image "x": write PATTERN=COMMAND/, 'up', '--image', 'x'],
    [/Cannot publish "8080": write HOST-PORT:NAMESPACE\/SERVICE:PORT/, 'up', '--publish', '8080'],
    [/missing required argument 'target'/, 'logs'],
    [/Cannot use "svc\/x": write POD or deploy\/NAME/, 'logs', 'svc/x'],
    [/"ztunnel" is a component, without --namespace .*: write pod\/ztunnel/, 'logs', '-n', 'shop', 'ztunnel'],
    [/'--tail <lines>' argument '0' is invalid/, 'logs', 'pod', '--tail', '0'],
    [/'--port <port>' argument 'x' is invalid.*from 1 to 65535/, 'proxy-config', 'routes', 'wp', '--port', 'x'],
    [/Which node\? Add --node NAME/, 'logs', 'node-runtime'],
    [/Allowed choices are table, json, yaml/, 'status', '-o', 'xml'],
    [/write one of all, certificates, connections/, 'ztunnel-config', 'secrets'],
    [/No pod or no command: write ambit exec/, 'exec', 'pod'],
    [/No command: write ambit exec --node/, 'exec', '--node', 'node-1'],
    [/Cannot use "svc\/x": write POD or deploy\/NAME/, 'exec', 'svc/x', '--', 'true'],
    [/missing required argument 'ports'/, 'port-forward', 'pod'],
    [/"80:0" is no port: write REMOTE, LOCAL:REMOTE or :REMOTE/, 'port-forward', 'pod', '80:0'],
    [/"99999:80" is no port/, 'port-forward', 'pod', '99999:80'],
    [/too many arguments/, 'down', 'now'],
  ];
  for (const [message, ...args] of usage) {
    it(`ends with 2 and one line of advice: ambit ${args.join(' ')}`, () => fails(2, message, ...args));
  }

  it('says of every command that needs a mesh how to start one', async () => {
    const advice = /^ambit: no mesh runs in .*\.ambit: start one with 'ambit up'/i;
    await fails(1, advice, 'ztunnel-config', 'workloads');
    await fails(1, advice, 'logs', 'ztunnel');
    await fails(1, advice, 'logs', 'pod');
    await fails(1, advice, 'exec', 'pod', '--', 'true');
    await fails(1, advice, 'port-forward', 'pod', '80');
    await fails(1, advice, 'exec', '--node', 'node-1', '--', 'true');
    await fails(1, /^ambit: No log at .*control\.log: has the mesh been started\?/, 'logs', 'control');
  });

  it('reports a mesh that does not run, in every format', async () => {
    const table = await ambit('status');
    assert.equal(table.code, 1);
    assert.equal(table.stdout, 'COMPONENT  NODE  PID  READY  AGE\n');
    assert.match(table.stderr, /^ambit: no mesh runs in .*: start one with 'ambit up'\n$/);
    const json = await ambit('status', '-o', 'json');
    assert.deepEqual([json.code, json.stdout], [1, '[]\n']);
  });

  it('says of which mesh there is a log of etcd', () =>
    fails(1, /etcd runs only where .* --kubernetes/, 'logs', 'etcd'));

  it('takes a mesh down that is not there', async () => {
    const { code, stderr } = await ambit('down', '--purge');
    assert.equal(code, 0);
    assert.match(stderr, /no mesh was running/);
  });

  it('refuses manifests before it starts anything', async () => {
    const file = join(home, 'bad.yaml');
    writeFileSync(file, 'kind: Pod\n');
    await fails(1, /^ambit: Cannot use the manifests: .*bad\.yaml, document 1: it has no apiVersion/, 'up', '-f', file);
    await fails(1, /there is no file or folder \/nowhere/, 'up', '-f', '/nowhere');
    await fails(1, /path is too long for unix sockets/, 'up', '--state', `/tmp/${'x'.repeat(100)}`);
  });

  it('ends without a word when its reader has seen enough', async () => {
    const context = createTestContext({ home });
    const broken = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    const out = new Writable({ write: (_chunk, _encoding, done) => done(broken) });
    assert.equal(await runCli(['help'], { ...context, out }), 0);
    assert.equal(context.stderr(), '');
  });
});

describe('completion', () => {
  const candidates = async (...words: string[]): Promise<string[]> => {
    const context = createTestContext();
    assert.equal(await runCli(['complete', '--', ...words], context), 0);
    return context.stdout().split('\n').slice(0, -1);
  };

  it('offers commands first, and again to help', async () => {
    assert.deepEqual(await candidates(), [...commands, 'help']);
    assert.deepEqual(await candidates('help'), commands);
    assert.deepEqual(await candidates('help', 'up'), []);
  });

  it('offers the values of an argument until it is given, and options', async () => {
    const config = await candidates('ztunnel-config');
    for (const word of ['workloads', 'certificates', '--node', '--output', '--help']) assert.ok(config.includes(word));
    assert.ok(!(await candidates('ztunnel-config', 'workloads')).includes('services'));
    assert.ok((await candidates('ztunnel-config', '--node', 'node-1')).includes('services'));
    assert.deepEqual((await candidates('completion')).slice(0, 3), ['bash', 'zsh', 'fish']);
    assert.deepEqual(await candidates('zc'), config);
    const logs = await candidates('logs');
    for (const word of ['ztunnel', '--tail', '--container']) assert.ok(logs.includes(word));
  });

  it('offers the values of an option, and files where there are none', async () => {
    assert.deepEqual(await candidates('status', '-o'), ['table', 'json', 'yaml']);
    assert.deepEqual(await candidates('status', '--output'), ['table', 'json', 'yaml']);
    // As bash parts a word.
    assert.deepEqual(await candidates('status', '--output', '='), ['table', 'json', 'yaml']);
    assert.deepEqual(await candidates('up', '-f'), []);
    assert.ok((await candidates('up', '-f', 'x.yaml')).includes('--nodes'));
  });

  it('leaves to others what is not ours', async () => {
    assert.deepEqual(await candidates('unknown'), []);
    assert.deepEqual(await candidates('exec', 'pod', '--', 'ls'), []);
  });

  for (const shell of ['bash', 'zsh', 'fish']) {
    it(`prints a script for ${shell}`, async () => {
      const context = createTestContext();
      assert.equal(await runCli(['completion', shell], context), 0);
      assert.match(context.stdout(), /complete -- /);
    });
  }
});
