/** What a container's root is made of: the host's top directories and mounts, as the runtime sees them. */
import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';

export type HostEntry =
  | { readonly kind: 'link'; readonly name: string; readonly target: string }
  | { readonly kind: 'directory'; readonly name: string; readonly mode: number; readonly shown: Shown };

/** How a container sees a directory of the host. */
export type Shown =
  /** Under an overlay of its own; `lower` is the directory, or a copy of it. */
  | { readonly kind: 'overlay'; readonly lower: string }
  /** As it is with all mounts below it, read-only. */
  | { readonly kind: 'bound' }
  /** As a directory of its own that holds these. */
  | { readonly kind: 'entries'; readonly entries: readonly HostEntry[] }
  /** As an empty one: it is another user's, in a user namespace that does not have them. */
  | { readonly kind: 'empty' };

export interface MountPoint {
  readonly path: string;
  /** Per-mount flags that a remount inside a user namespace has to repeat: ro, nosuid, nodev, noexec and the access-time ones. */
  readonly flags: readonly string[];
}

export interface HostView {
  readonly top: readonly HostEntry[];
  /** Names under /dev that every container gets. */
  readonly devices: readonly string[];
  /** Folders inside the top ones that programs expect to write to, and their modes. */
  readonly writable: readonly { readonly path: string; readonly mode: number }[];
  /** Names under /proc that only privileged containers may write, as container runtimes have it. */
  readonly guardedProc: readonly string[];
  /** Files under /proc that tell of the whole machine, and only privileged containers see. */
  readonly maskedProc: readonly string[];
  readonly mounts: readonly MountPoint[];
}

/** Made by the runtime itself, or of no use in a container. */
const notTaken = new Set(['dev', 'proc', 'tmp', 'run', 'lost+found']);
/** Never the host's own, whatever is mounted below them. */
const alwaysPrivate = new Set(['/etc', '/var', '/opt', '/srv']);
const guardedProc = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'];
const maskedProc = [
  'kcore',
  'keys',
  'timer_list',
  'latency_stats',
  'kallsyms',
  'kpagecount',
  'kpageflags',
  'kpagecgroup',
];
const expectedWritable = ['/var/log', '/var/lib', '/var/cache', '/var/tmp', '/usr/local'];
const harmlessDevices = ['null', 'zero', 'full', 'random', 'urandom', 'tty'];
const repeatedFlags = new Set(['ro', 'nosuid', 'nodev', 'noexec', 'noatime', 'nodiratime', 'relatime']);

/**
 * Reads the root directory and the mount table. Taken once: the host's top level does not change under a running node.
 * `copyFolder` is where a copy of /etc goes if one is needed.
 */
export function readHostView(copyFolder: string): HostView {
  // What the runtime cannot reach, a container cannot either.
  const mounts = parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8')).filter(({ path }) => existsSync(path));
  // Initial user namespace: every id is itself.
  const isNested = !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'));
  const context = { mounts, isNested, copyFolder };
  return {
    top: readEntries('/', context),
    mounts,
    devices: harmlessDevices.filter((name) => existsSync(`/dev/${name}`)),
    writable: expectedWritable.filter(isReadable).map((path) => ({ path, mode: statSync(path).mode & 0o7777 })),
    // Which of them there are depends on how the kernel was built.
    guardedProc: guardedProc.filter((name) => existsSync(`/proc/${name}`)),
    maskedProc: maskedProc.filter((name) => existsSync(`/proc/${name}`)),
  };
}

interface ReadContext {
  readonly mounts: readonly MountPoint[];
  /** In a user namespace that is not the first one. */
  readonly isNested: boolean;
  readonly copyFolder: string;
}

function readEntries(folder: string, context: ReadContext): HostEntry[] {
  const entries: HostEntry[] = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const { name } = entry;
    const path = join(folder, name);
    // The name becomes part of mount options.
    if (!/^[\w+-][\w.+-]*$/.test(name) || (folder === '/' && notTaken.has(name))) continue;
    if (entry.isSymbolicLink()) entries.push({ kind: 'link', name, target: readlinkSync(path) });
    else if (entry.isDirectory()) {
      entries.push({ kind: 'directory', name, mode: statSync(path).mode & 0o7777, shown: chooseShown(path, context) });
    }
  }
  return entries;
}

function chooseShown(path: string, context: ReadContext): Shown {
  if (!isReadable(path)) return { kind: 'empty' };
  if (path === '/sys') return { kind: 'bound' };
  const hasMountsBelow = context.mounts.some((mount) => mount.path.startsWith(`${path}/`));
  if (!hasMountsBelow) return { kind: 'overlay', lower: path };
  // An overlay shows none of the mounts below it, which is right for these.
  if (!alwaysPrivate.has(path)) return { kind: 'bound' };
  if (!context.isNested) return { kind: 'overlay', lower: path };
  // In a user namespace the kernel refuses an overlay over what the host's own mounts cover.
  if (path !== '/etc') return { kind: 'entries', entries: readEntries(path, context) };
  const copy = join(context.copyFolder, 'etc');
  cpSync(path, copy, { recursive: true, verbatimSymlinks: true, filter: isCopied });
  return { kind: 'overlay', lower: copy };
}

/** What an ordinary user can copy: no sockets, no pipes, nobody else's secrets. */
function isCopied(path: string): boolean {
  const info = lstatSync(path);
  return info.isSymbolicLink() || ((info.isFile() || info.isDirectory()) && isReadable(path));
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
    accessSync(path, statSync(path).isDirectory() ? constants.R_OK | constants.X_OK : constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}
