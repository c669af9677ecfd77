/**
 * Starts and ends the init of a local mesh: one process tree with user (when not root), mount, pid and network
 * namespaces of its own. When init ends, however, the kernel takes everything in them with it.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sleep } from '../../lib/clock.ts';
import { AmbitError } from '../../lib/errors.ts';
import { childrenOf, commandLines, isSameProcess, parentOf, startTicks } from './host-process.ts';
import type { MeshRecord, StatePaths } from './state-dir.ts';

/** How Ambit starts itself: the Node it runs on, where its entry points are, and where compiled code is cached. */
export interface SelfCommand {
  readonly node: string;
  /** Folder of the entry points (`src/bin`). */
  readonly binDir: string;
  readonly compileCache?: string;
}

export interface StartInitOptions {
  readonly paths: StatePaths;
  readonly self: SelfCommand;
  readonly record: MeshRecord;
  readonly asRoot: boolean;
}

/**
 * The shell is process 1: it reaps. The forwarder is started before the network namespace is left, so it keeps the
 * host's loopback and still ends with init. Both are started again when they die, unless the state folder is gone: then all ends.
 */
const initScript = `
mount --make-rprivate / && mount -t tmpfs -o mode=755 ambit /run && mkdir -p /run/netns && mount --bind /run /run && mount --make-shared /run || exit 1
( while :; do "$1" "$2/forwarder.ts" --state "$3" --port "$4"; sleep 0.2; done ) &
echo $! >/run/forwarder.pid
exec unshare --net sh -c '
  ip link set lo up || exit 1
  trap : TERM INT
  while [ -d "$3" ]; do "$1" "$2/supervisor.ts" --state "$3" & wait $!; sleep 0.2; done
' init "$1" "$2" "$3"
`;

/** Starts init in the background. Resolves once its process 1 exists; it is not ready yet. */
export async function startInit(options: StartInitOptions): Promise<NonNullable<MeshRecord['init']>> {
  const { paths, self, record } = options;
  const namespaces = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  if (!options.asRoot) namespaces.unshift('--user', '--map-root-user');
  const logPath = join(paths.logs, 'init.log');
  const log = openSync(logPath, 'w', 0o600);
  const child = spawn(
    'unshare',
    [...namespaces, 'sh', '-c', initScript, 'init', self.node, self.binDir, paths.root, String(record.apiPort)],
    {
      detached: true,
      stdio: ['ignore', log, log],
      cwd: '/',
      env: {
        PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        HOME: '/root',
        ...(self.compileCache === undefined ? {} : { NODE_COMPILE_CACHE: self.compileCache }),
      },
    },
  );
  closeSync(log);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(`ended with ${code ?? signal}`));
  });
  child.unref();
  for (;;) {
    const failure = await Promise.race([ended, sleep(20).then(() => undefined)]);
    if (failure !== undefined) throw cannotStart(`${failure}: ${readFileSync(logPath, 'utf8').trim()}`, options.asRoot);
    const [pid] = child.pid === undefined ? [] : childrenOf(child.pid);
    const ticks = pid === undefined ? undefined : startTicks(pid);
    if (pid !== undefined && ticks !== undefined) return { pid, startTicks: ticks };
  }
}

/** Whether the mesh's init runs. */
export function isInitRunning(record: MeshRecord | undefined): boolean {
  return record?.init !== undefined && isSameProcess(record.init);
}

/** An init of this state folder that no record names, because the folder was removed under it; by its command line. */
export function findInit(paths: StatePaths): MeshRecord['init'] {
  for (const [holder, words] of commandLines()) {
    const [marker, , , root] = words.slice(-5);
    if (words[0] !== 'unshare' || marker !== 'init' || root !== paths.root) continue;
    const [pid] = childrenOf(holder);
    const ticks = pid === undefined ? undefined : startTicks(pid);
    if (pid !== undefined && ticks !== undefined) return { pid, startTicks: ticks };
  }
  return undefined;
}

/** Ends init and with it every process, namespace, link, mount and rule of the mesh. Resolves when it is gone. */
export async function killInit(init: NonNullable<MeshRecord['init']>): Promise<void> {
  const holder = parentOf(init.pid);
  const holderTicks = holder === undefined ? undefined : startTicks(holder);
  while (isSameProcess(init)) {
    try {
      process.kill(init.pid, 'SIGKILL');
    } catch {
      // Gone between the look and the kill.
    }
    await sleep(10);
  }
  // The parent that waited for init ends right after it.
  while (holder !== undefined && holderTicks !== undefined && startTicks(holder) === holderTicks) await sleep(10);
}

function cannotStart(detail: string, asRoot: boolean): AmbitError {
  const advice = asRoot
    ? 'check that this machine allows mount and pid namespaces'
    : 'this kernel may forbid user namespaces to ordinary users (kernel.apparmor_restrict_unprivileged_userns, user.max_user_namespaces): run it as root';
  return new AmbitError(`Cannot start the mesh's namespaces (${detail}): ${advice}`, {
    code: 'local.init-failed',
    blame: 'internal',
  });
}
