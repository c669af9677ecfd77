/** What a container's root is made of: the host's top directories and mounts, as the runtime sees them. */
import { accessSync, constants, existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

export type TopEntry =
  | {
      readonly kind: 'directory';
      readonly name: string;
      readonly mode: number;
      readonly hasSubmounts: boolean;
      /** Otherwise it is another user's, in a user namespace that does not have them. */
      readonly isReadable: boolean;
    }
  | { readonly kind: 'link'; readonly name: string; readonly target: string };

export interface MountPoint {
  readonly path: string;
  /** Per-mount flags that a remount inside a user namespace has to repeat: nosuid, nodev, noexec and the access-time ones. */
  readonly flags: readonly string[];
}

export interface HostView {
  readonly top: readonly TopEntry[];
  /** Names under /dev that every container gets. */
  readonly devices: readonly string[];
  /** Folders inside the top ones that programs expect to write to, and their modes. */
  readonly writable: readonly { readonly path: string; readonly mode: number }[];
  /** Names under /proc that only privileged containers may write, as container runtimes have it. */
  readonly guardedProc: readonly string[];
  readonly mounts: readonly MountPoint[];
}

/** Made by the runtime itself, or of no use in a container. */
const notTaken = new Set(['dev', 'proc', 'tmp', 'run', 'lost+found']);
const guardedProc = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'];
const expectedWritable = ['/var/log', '/var/lib', '/var/cache', '/var/tmp', '/usr/local'];
const harmlessDevices = ['null', 'zero', 'full', 'random', 'urandom', 'tty'];
const repeatedFlags = new Set(['nosuid', 'nodev', 'noexec', 'noatime', 'nodiratime', 'relatime']);

/** Reads the root directory and the mount table. Taken once: the host's top level does not change under a running node. */
export function readHostView(): HostView {
  const mounts = parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8'));
  const top: TopEntry[] = [];
  for (const entry of readdirSync('/', { withFileTypes: true })) {
    const { name } = entry;
    // The name becomes part of mount options.
    if (notTaken.has(name) || !/^[\w.+-]+$/.test(name) || name.startsWith('.')) continue;
    if (entry.isSymbolicLink()) top.push({ kind: 'link', name, target: readlinkSync(`/${name}`) });
    else if (entry.isDirectory()) {
      const hasSubmounts = mounts.some((mount) => mount.path.startsWith(`/${name}/`));
      const mode = statSync(`/${name}`).mode & 0o7777;
      top.push({ kind: 'directory', name, mode, hasSubmounts, isReadable: isReadable(`/${name}`) });
    }
  }
  return {
    top,
    mounts,
    devices: harmlessDevices.filter((name) => existsSync(`/dev/${name}`)),
    writable: expectedWritable.filter(isReadable).map((path) => ({ path, mode: statSync(path).mode & 0o7777 })),
    // Which of them there are depends on how the kernel was built.
    guardedProc: guardedProc.filter((name) => existsSync(`/proc/${name}`)),
  };
}

/** Mount points of `/proc/PID/mountinfo` (proc(5)), in its order. */
export function parseMountInfo(text: string): MountPoint[] {
  return text
    .split('\n')
    .map((line) => line.split(' '))
    .filter((fields) => fields.length > 6)
    .map((fields) => ({
      path: unescapeOctal(fields[4] ?? ''),
      flags: (fields[5] ?? '').split(',').filter((flag) => repeatedFlags.has(flag)),
    }));
}

/** Flags of the mount that holds `path`. */
export function mountFlags(view: HostView, path: string): readonly string[] {
  let best: MountPoint | undefined;
  for (const mount of view.mounts) {
    const holds = mount.path === '/' || path === mount.path || path.startsWith(`${mount.path}/`);
    if (holds && (!best || mount.path.length >= best.path.length)) best = mount;
  }
  return best?.flags ?? [];
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}
