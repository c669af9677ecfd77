/** How a command of the caller enters a namespace of the mesh: a plan that says what to run, for whoever runs it. */
import { readFileSync, readlinkSync } from 'node:fs';
import { AmbitError } from '../../lib/errors.ts';
import { enterContainer, type Confinement } from '../runtime/confinement.ts';
import { isInitRunning } from './init.ts';
import { mapNamespacePids } from './host-process.ts';
import { nodeGet } from './node-socket.ts';
import { nodeNames, type NodePod } from './nodes.ts';
import { readMeshRecord, type MeshRecord, type StatePaths } from './state-dir.ts';

export interface EnterPlan {
  readonly command: readonly string[];
  /** How many processes, each the child of the one before, lie between the process to start and the command. */
  readonly depth: number;
  /** The whole environment of the process to start. */
  readonly env: Readonly<Record<string, string>>;
}

/** The record of a mesh that runs. Throws `local.not-running`. */
export function requireRunning(paths: StatePaths): MeshRecord & { init: NonNullable<MeshRecord['init']> } {
  const record = readMeshRecord(paths);
  if (!record?.init || !isInitRunning(record)) {
    throw new AmbitError(`No mesh runs in ${paths.root}: start one with 'ambit up', or name its folder with --state`, {
      code: 'local.not-running',
      blame: 'downstream',
    });
  }
  return { ...record, init: record.init };
}

/** Runs `command` in the network namespace of a node, with the caller's environment. */
export async function planEnterNode(
  paths: StatePaths,
  options: { readonly node: string; readonly command: readonly string[]; readonly env: EnterPlan['env'] },
): Promise<EnterPlan> {
  const record = requireRunning(paths);
  const { node, command, env } = options;
  if (!nodeNames(record.nodes).includes(node)) {
    throw new AmbitError(`No node "${node}": the mesh has ${nodeNames(record.nodes).join(', ')}`, {
      code: 'local.no-node',
      blame: 'downstream',
    });
  }
  // nsenter joins the mount namespace before it opens the named network namespace of the second nsenter.
  const enter = ['nsenter', ...namespaceFlags(record.init.pid, ['mnt', 'pid'])];
  return { command: [...enter, '--', 'nsenter', `--net=/run/netns/${node}`, '--', ...command], depth: 1, env };
}

/** Runs `command` where the control plane and the API server are, with the caller's environment. Throws `local.not-running`. */
export function planEnterControl(
  paths: StatePaths,
  { command, env }: { readonly command: readonly string[]; readonly env: EnterPlan['env'] },
): EnterPlan {
  const { init } = requireRunning(paths);
  return { command: ['nsenter', ...namespaceFlags(init.pid, ['mnt', 'pid', 'net']), '--', ...command], depth: 1, env };
}

/** Runs `command` in the namespaces of a container, with the container's environment. */
export async function planEnterPod(
  paths: StatePaths,
  options: {
    readonly uid: string;
    readonly node: string;
    readonly pod: string;
    readonly container?: string;
    readonly command: readonly string[];
  },
): Promise<EnterPlan> {
  const record = requireRunning(paths);
  const pods = (await nodeGet(paths, options.node, '/pods')) as readonly NodePod[];
  const pod = pods.find((candidate) => candidate.uid === options.uid);
  const names = pod?.containers.map((container) => container.name) ?? [];
  const container = pod?.containers.find((candidate) => candidate.name === (options.container ?? names[0]));
  if (!container) {
    throw new AmbitError(
      `No container "${options.container ?? ''}" in pod "${options.pod}": it has ${names.join(', ') || 'none'}`,
      {
        code: 'local.no-container',
        blame: 'downstream',
      },
    );
  }
  const pid = container.pid === undefined ? undefined : mapNamespacePids(record.init.pid).get(container.pid);
  if (pid === undefined) {
    throw new AmbitError(
      `Container "${container.name}" of pod "${options.pod}" does not run: see 'kubectl describe pod ${options.pod}'`,
      {
        code: 'local.container-not-running',
        blame: 'downstream',
      },
    );
  }
  const entered = enterContainer(
    {
      // As init's pid namespace has it: only from there can an ordinary user enter what lies deeper.
      pid: container.pid ?? 0,
      confinement: confinementOfProcess(pid, record.init.pid),
      hostPid: false,
      environment: environmentOf(pid),
      workingDirectory: '/',
    },
    options.command,
  );
  const enter = ['nsenter', ...namespaceFlags(record.init.pid, ['mnt', 'pid'])];
  return { command: [...enter, '--', ...entered.command], depth: 2, env: entered.env };
}

/** How a process is confined: those of pods are in a user namespace of their own. */
function confinementOfProcess(pid: number, initPid: number): Confinement {
  const userNamespace = (of: number): string => readlinkSync(`/proc/${of}/ns/user`);
  if (userNamespace(pid) === userNamespace(initPid)) return { kind: 'system', limit: [] };
  const own = (map: string): number => Number(readFileSync(`/proc/${pid}/${map}`, 'utf8').trim().split(/\s+/)[0]);
  return { kind: 'confined', user: own('uid_map'), group: own('gid_map') };
}

/** nsenter's flags for a process's namespaces; the user namespace too when it is not the caller's. */
function namespaceFlags(pid: number, namespaces: readonly ('mnt' | 'pid' | 'net')[]): string[] {
  const options = { mnt: '--mount', pid: '--pid', net: '--net' } as const;
  const flags = [`--target=${pid}`, ...namespaces.map((namespace) => options[namespace])];
  const foreignUser = readlinkSync(`/proc/${pid}/ns/user`) !== readlinkSync('/proc/self/ns/user');
  return foreignUser ? [...flags, '--user', '--preserve-credentials'] : flags;
}

function environmentOf(pid: number): Record<string, string> {
  const entries = readFileSync(`/proc/${pid}/environ`, 'utf8')
    .split('\0')
    .filter((entry) => entry.includes('='))
    .map((entry): [string, string] => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]);
  return Object.fromEntries(entries);
}
