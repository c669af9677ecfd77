/** What every command gets: where it runs, where it writes, and the options that all of them share. */
import { join } from 'node:path';
import { isatty } from 'node:tty';
import { InvalidArgumentError, Option } from 'commander';
import { kubeconfigPaths, loadKubeconfig, openKubeClient, type KubeClient } from '../kube/index.ts';
import { AmbitError } from '../lib/errors.ts';
import { silentLog } from '../lib/log.ts';
import { requireRunning, statePaths, type SelfCommand, type StatePaths } from '../local/mesh/index.ts';

export interface CliContext {
  readonly self: SelfCommand;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  readonly isRoot: boolean;
  readonly out: NodeJS.WritableStream;
  readonly err: NodeJS.WritableStream & { readonly isTTY?: boolean };
  /** Aborts at the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
}

/** A command that ends with the exit code of something else. */
export class ExitCode {
  readonly code: number;
  constructor(code: number) {
    this.code = code;
  }
}

/** A usage error: exit code 2. */
export function usageError(message: string): AmbitError {
  return new AmbitError(message, { code: 'cli.usage', blame: 'downstream' });
}

export interface StateOptions {
  readonly state?: string;
}

export interface ClusterOptions extends StateOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
}

export function stateOption(): Option {
  return new Option('--state <dir>', 'state folder of the local mesh (default: ~/.ambit)');
}

export function kubeconfigOption(
  description = "kubeconfig to use (default: $KUBECONFIG, then the state folder's)",
): Option {
  return new Option('--kubeconfig <file>', description);
}

export function contextOption(description = 'context of the kubeconfig to use (default: its current one)'): Option {
  return new Option('--context <name>', description);
}

export type OutputFormat = 'table' | 'json' | 'yaml';

export function outputOption(): Option {
  return new Option('-o, --output <format>', 'how to print').choices(['table', 'json', 'yaml']).default('table');
}

export function nodeOption(): Option {
  return new Option('--node <name>', 'only this node');
}

export function paths(context: CliContext, options: StateOptions): StatePaths {
  return statePaths(options.state ?? join(context.home, '.ambit'));
}

/**
 * The cluster a command speaks to: --kubeconfig, KUBECONFIG, the state folder's, in that order. The caller closes it.
 * `isInteractive`: whether credential plugins may ask whoever sits at the terminal; by default where there is one.
 */
export function openCluster(
  context: CliContext,
  options: ClusterOptions,
  { isInteractive = isatty(0) }: { readonly isInteractive?: boolean } = {},
): KubeClient {
  const fromEnv = kubeconfigPaths(context.env['KUBECONFIG']);
  const files = options.kubeconfig ?? (fromEnv.length > 0 ? fromEnv : kubeconfigOfMesh(paths(context, options)));
  const access = loadKubeconfig(files, {
    env: context.env,
    isInteractive,
    ...(options.context === undefined ? {} : { context: options.context }),
  });
  return openKubeClient(access, { log: silentLog() });
}

function kubeconfigOfMesh(state: StatePaths): string {
  requireRunning(state);
  return state.kubeconfig;
}

export function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError('It must be a whole number of at least 1.');
  return count;
}

export function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}
