/**
 * The namespaces that a pod's containers share beside its network: ipc and uts, and its processes where it asks for that.
 * They last as long as the runtime has them open, whatever becomes of the containers.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import { toolEnvironment } from '../network/tool.ts';
import { enterConfinement } from './confinement.ts';

export interface PodNamespacesOptions {
  readonly hostName: string;
  /** The containers are in the node's ipc namespace. */
  readonly hostIpc: boolean;
  /** The containers see each other's processes. */
  readonly sharesProcesses: boolean;
}

/** Paths for nsenter(1), good until `close`. Absent: it is not the pod's. */
export interface PodNamespaces {
  readonly uts: string;
  readonly ipc?: string;
  /** Its process 1 is the pod's own, confined, and reaps what containers leave. */
  readonly pid?: string;
  /** Ends the processes that are still in the pid namespace. */
  close(): Promise<void>;
}

/** Waits until its namespaces are open before it ends, or becomes process 1 of the pod. */
const script = `
set -eu
hostname "$1"
shift
read -r pid rest </proc/self/stat
echo "$pid"
read -r word || :
exec "$@"
`;
/** A shell that waits reaps whatever it adopted. A container may end the sleeper: that changes nothing. */
const reap = 'while :; do sleep infinity & wait "$!" || :; done';

/** Throws `runtime.namespaces`. */
export async function openPodNamespaces(options: PodNamespacesOptions): Promise<PodNamespaces> {
  const { hostName, hostIpc, sharesProcesses } = options;
  const held = sharesProcesses ? ['--pid', '--fork', '--kill-child'] : [];
  // Who changes its rights forgets that it was to die with its parent.
  const confined = [...enterConfinement({ user: 0, group: 0 }), 'setpriv', '--pdeathsig', 'KILL', '--'];
  const last = sharesProcesses ? [...confined, 'sh', '-c', reap] : ['true'];
  const command = ['--pdeathsig', 'KILL', '--', 'unshare', '--uts', ...(hostIpc ? [] : ['--ipc']), ...held, '--'];
  const child = spawn('setpriv', [...command, 'sh', '-c', script, 'pod', hostName, ...last], {
    cwd: '/',
    env: { ...toolEnvironment },
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let isRunning = true;
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  }).then(() => (isRunning = false));
  child.stdin.on('error', () => {});
  const opened: number[] = [];
  const open = (pid: number, name: string): string => {
    const fd = openSync(`/proc/${pid}/ns/${name}`, 'r');
    opened.push(fd);
    return `/proc/${process.pid}/fd/${fd}`;
  };
  try {
    const pid = await readPid(child, child.stdout, child.stderr);
    const uts = open(pid, 'uts');
    const shared = {
      ...(hostIpc ? {} : { ipc: open(pid, 'ipc') }),
      ...(sharesProcesses ? { pid: open(pid, 'pid') } : {}),
    };
    child.stdin.end();
    // A container could hold the outputs open no more than anything else of the runtime's.
    for (const output of [child.stdout, child.stderr]) output.destroy();
    return {
      uts,
      ...shared,
      async close() {
        for (const fd of opened) closeSync(fd);
        // Nobody else has its number before `child` has seen its end.
        if (sharesProcesses && isRunning) process.kill(pid, 'SIGKILL');
        await ended;
      },
    };
  } catch (error) {
    for (const fd of opened) closeSync(fd);
    child.kill('SIGKILL');
    await ended;
    throw new AmbitError(`Cannot make the namespaces of the pod: ${messageOf(error)}`, {
      code: 'runtime.namespaces',
      blame: 'internal',
      cause: error,
    });
  }
}

/** The process to take the namespaces from, once they are as they must be. */
function readPid(child: ChildProcess, stdout: Readable, stderr: Readable): Promise<number> {
  return new Promise((resolve, reject) => {
    let said = '';
    let complaint = '';
    stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.endsWith('\n')) resolve(Number(said));
    });
    stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => reject(new Error(complaint.trim() || `exit code ${code}`)));
  });
}
