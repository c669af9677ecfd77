/** Tab completion in zsh and fish themselves, typed as somebody would. bash is in cli.test.ts. Skipped where they are not installed. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { run, start } from '../support/run.ts';

const launcher = join(import.meta.dirname, '../../ambit');
const without = (shell: string): string | false =>
  spawnSync(shell, ['-c', 'true']).status !== 0 && `no ${shell} here: install the package ${shell}`;

/** What is typed before the key, and what it becomes: nothing else fits. */
const typed: readonly (readonly [typed: string, completed: string])[] = [
  ['ambit compl', 'ambit completion'],
  ['ambit completion z', 'ambit completion zsh'],
  ['ambit zc all -o w', 'ambit zc all -o wide'],
  ['ambit zc all --output=w', 'ambit zc all --output=wide'],
  ['ambit up -f a', 'ambit up -f a.yaml'],
  ['ambit up --filename=a', 'ambit up --filename=a.yaml'],
  ['ambit exec pod -- cat a', 'ambit exec pod -- cat a.yaml'],
  ['~/bin/ambit completion f', '~/bin/ambit completion fish'],
  ['./bin/ambit completion f', './bin/ambit completion fish'],
];

describe('tab completion', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-completion-'));
  const env = { HOME: folder, PATH: `${join(folder, 'bin')}:${process.env['PATH']}`, TERM: 'dumb' };

  before(() => {
    mkdirSync(join(folder, 'bin'));
    symlinkSync(launcher, join(folder, 'bin/ambit'));
    mkdirSync(join(folder, 'manifests'));
    for (const file of ['a.yaml', 'manifests/b.yaml']) writeFileSync(join(folder, file), '');
  });
  after(() => rmSync(folder, { recursive: true }));

  it('works in fish', { skip: without('fish') }, async () => {
    const script = 'ambit completion fish | source; for line in $argv; complete -C $line; echo; end';
    const lines = [...typed.map(([line]) => line), 'ambit completion '];
    const { stdout, stderr } = await run(['fish', '--no-config', '-c', script, ...lines], { env, cwd: folder });
    assert.equal(stderr, '');
    const offered = stdout.split('\n\n').slice(0, lines.length);
    // Fish offers words, not lines.
    assert.deepEqual(offered, [
      ...typed.map(([, completed]) => completed.split(' ').at(-1)),
      'bash\nfish\nzsh\n--help',
    ]);
  });

  const noZsh = without('zsh');

  it('works in zsh, where its start-up file takes the script', { skip: noZsh }, async () => {
    assert.deepEqual(
      await typeInZsh(
        'autoload -Uz compinit; compinit -u -D; source <(ambit completion zsh)',
        typed.map(([line]) => line),
      ),
      typed.map(([, completed]) => completed),
    );
  });

  it('works in zsh, where the script is among its functions', { skip: noZsh }, async () => {
    const { stdout } = await run([launcher, 'completion', 'zsh'], { env });
    mkdirSync(join(folder, 'functions'));
    writeFileSync(join(folder, 'functions/_ambit'), stdout);
    const start = 'fpath=(~/functions $fpath); autoload -Uz compinit; compinit -u -D';
    assert.deepEqual(await typeInZsh(start, ['ambit completion z', 'ambit completion z']), [
      'ambit completion zsh',
      'ambit completion zsh',
    ]);
  });

  it('offers files in zsh, where any fits', { skip: noZsh }, async () => {
    const start = 'autoload -Uz compinit; compinit -u -D; source <(ambit completion zsh); cd manifests';
    assert.deepEqual(await typeInZsh(start, ['ambit up -f ']), ['ambit up -f b.yaml']);
  });

  /** Each line as it is after the tab key, without blanks at its end. */
  async function typeInZsh(startUp: string, lines: readonly string[]): Promise<string[]> {
    // `script` has a terminal for it.
    const terminal = start(['script', '-qfec', 'zsh -f -i', '/dev/null'], { env, cwd: folder });
    const ended = once(terminal, 'exit');
    let said = '';
    let heard = Promise.withResolvers<void>();
    terminal.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk;
      heard.resolve();
    });
    const until = async (pattern: RegExp): Promise<string> => {
      for (;;) {
        const match = pattern.exec(said);
        if (match) {
          said = said.slice(match.index + match[0].length);
          return match[1] ?? '';
        }
        heard = Promise.withResolvers();
        const why = await Promise.race([heard.promise, ended.then(() => 'zsh ended')]);
        assert.equal(why, undefined, said);
      }
    };
    try {
      const show = 'show() { print -r -- "<$BUFFER>"; BUFFER= }; zle -N show; bindkey "^Xb" show';
      terminal.stdin?.write(`PS1=; ${startUp}; ${show}; print rea""dy\n`);
      await until(/ready\r\n/);
      const completed: string[] = [];
      for (const line of lines) {
        terminal.stdin?.write(`${line}\t\u0018b`);
        completed.push((await until(/<([^<>\n]*)>\r\n/)).trimEnd());
      }
      return completed;
    } finally {
      terminal.kill('SIGKILL');
      await ended;
    }
  }
});
