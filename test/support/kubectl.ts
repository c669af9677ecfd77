/** kubectl, where there is one: AMBIT_TEST_KUBECTL, what is installed, or the one that is built with Kubernetes' own server. */
import { equal } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const { env } = process;

function find(): readonly string[] | undefined {
  const named = env['AMBIT_TEST_KUBECTL'];
  if (named) return [named];
  const server = env['AMBIT_TEST_KUBERNETES'];
  if (server) return [server, 'kubectl'];
  const folders = (env['PATH'] ?? '').split(delimiter);
  const installed = folders.map((folder) => join(folder, 'kubectl')).find((path) => existsSync(path));
  return installed === undefined ? undefined : [installed];
}

/** The command, with the words that come before the arguments. */
export const kubectl: readonly string[] | undefined = find();

/** For tests that need it: the reason why they cannot run, or false. */
export const noKubectl: string | false =
  kubectl === undefined && 'no kubectl (1.29 or newer): install it, or run npm run test:kubernetes';

export interface KubectlRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** kubectl for one server. Arguments are words separated by blanks, or a list; `input` becomes its standard input. */
export interface Kubectl {
  /** The whole environment of kubectl: for those who start it themselves. */
  readonly env: Readonly<Record<string, string | undefined>>;
  run(args: string | readonly string[], input?: string, env?: Readonly<Record<string, string>>): KubectlRun;
  /** Fails when kubectl does; returns what it prints. */
  ok(args: string | readonly string[], input?: string, env?: Readonly<Record<string, string>>): string;
  /** What a JSONPath finds in what a command prints. */
  json(args: string, path: string): string;
}

/** `home` is a folder of the test's own: kubectl caches discovery there. */
export function kubectlOf(options: { readonly home: string; readonly kubeconfig: string }): Kubectl {
  const [program = '', ...first] = kubectl ?? [];
  const base = { PATH: env['PATH'], HOME: options.home, KUBECONFIG: options.kubeconfig };
  const run: Kubectl['run'] = (args, input = '', more = {}) => {
    const words = typeof args === 'string' ? args.split(' ') : args;
    const { status, stdout, stderr } = spawnSync(program, [...first, ...words], {
      input,
      encoding: 'utf8',
      timeout: 60_000,
      env: { ...base, ...more },
    });
    return { code: status ?? -1, stdout: stdout.trim(), stderr: stderr.trim() };
  };
  const ok: Kubectl['ok'] = (args, input, more) => {
    const result = run(args, input, more);
    equal(result.code, 0, result.stderr);
    return result.stdout;
  };
  return { env: base, run, ok, json: (args, path) => ok([...args.split(' '), '-o', `jsonpath=${path}`]) };
}
