/**
 * Pure: which mounts make a container's root.
 *
 * The root is a directory of ours with the host's top directories in it, each under an overlay of the container's own,
 * so that nothing a container writes reaches the host; /tmp and /run are private. It becomes the root by pivot_root.
 * Mounts inside it are made after that, so that no symbolic link can lead them out.
 */
import { mountFlags, type HostEntry, type HostView } from './host-view.ts';

export interface VolumeBind {
  /** Absolute path on the host. */
  readonly source: string;
  /** Absolute path in the container. */
  readonly target: string;
  readonly readOnly: boolean;
  /** Mounts made on the host later appear too. */
  readonly fromHost: boolean;
  readonly isFile: boolean;
  /** `device:inode` of what must be bound: a pod may exchange a path inside its volume at any time. */
  readonly identity?: string;
}

export interface RootPlanInput {
  readonly host: HostView;
  /** The container's own folder, on a file system that can be an overlay's upper layer (tmpfs). */
  readonly folder: string;
  /** Host folders that no container may see. */
  readonly hidden: readonly string[];
  /** Host folders that stay readable wherever they are: the program itself. */
  readonly kept: readonly string[];
  readonly volumes: readonly VolumeBind[];
  /** Files that replace the host's, by absolute path: /etc/hosts and the like. */
  readonly files: ReadonlyMap<string, string>;
  /** The container shares the pid namespace of init. */
  readonly hostPid: boolean;
  /** Host folder of what the pod's containers share as /dev/shm. */
  readonly sharedMemory: string;
  /** It may change kernel settings, its network namespace's own among them. */
  readonly isPrivileged: boolean;
  /** Files cannot give it more rights. */
  readonly isConfined: boolean;
  /** It can write to its volumes alone. */
  readonly isReadOnly: boolean;
}

export interface RootPlan {
  /** Folders to make before, with their modes; in order. */
  readonly folders: readonly { readonly path: string; readonly mode: number }[];
  readonly links: readonly { readonly path: string; readonly target: string }[];
  readonly files: readonly { readonly path: string; readonly content: string }[];
  /** fstab(5) text that is mounted before pivot_root. */
  readonly before: string;
  /** Lines of a path under the new root and the `device:inode` that must be there then. */
  readonly identities: string;
}

/** Where the old root is for a moment after pivot_root. */
export const oldRoot = '/.host';
/**
 * Where everything from outside is that is mounted over the container's root later, one numbered name each, with the files
 * `fstab`, `files` and `folders` (what has to exist before) and `read-only` (mounts to make so). Covered at the end.
 */
export const mountsFolder = '/.mounts';

const deviceLinks: Readonly<Record<string, string>> = {
  fd: '/proc/self/fd',
  stdin: '/proc/self/fd/0',
  stdout: '/proc/self/fd/1',
  stderr: '/proc/self/fd/2',
  ptmx: 'pts/ptmx',
};

export function planContainerRoot(input: RootPlanInput): RootPlan {
  const root = `${input.folder}/root`;
  const folders = [
    input.folder,
    root,
    `${root}${oldRoot}`,
    `${root}${mountsFolder}`,
    `${input.folder}/upper`,
    `${input.folder}/work`,
  ].map((path) => ({ path, mode: 0o755 }));
  const links: { path: string; target: string }[] = [];
  const before = [line(root, root, 'none', 'rbind')];
  const readOnly = ['/', '/tmp', '/run'];
  // Programs whose file capabilities cannot be had would be refused as a whole: ping(8), for example.
  const noGain = input.isConfined ? ['nosuid', 'nodev'] : [];

  const show = (entry: HostEntry, parent: string): void => {
    const path = `${parent}/${entry.name}`;
    if (entry.kind === 'link') {
      links.push({ path: root + path, target: entry.target });
      return;
    }
    const { mode, shown } = entry;
    folders.push({ path: root + path, mode });
    switch (shown.kind) {
      case 'empty':
        return;
      case 'bound':
        before.push(...bindReadOnly(input.host, path, root + path, noGain));
        return;
      case 'entries':
        folders.push(
          { path: `${input.folder}/upper${path}`, mode },
          { path: `${input.folder}/work${path}`, mode: 0o755 },
        );
        for (const each of shown.entries) show(each, path);
        return;
      case 'overlay': {
        const upper = `${input.folder}/upper${path}`;
        const work = `${input.folder}/work${path}`;
        folders.push({ path: upper, mode }, { path: work, mode: 0o755 });
        const layers = [`lowerdir=${shown.lower}`, `upperdir=${upper}`, `workdir=${work}`];
        before.push(line('overlay', root + path, 'overlay', [...layers, ...noGain].join(',')));
        readOnly.push(path);
        // In the upper layer they are the container's own, in a user namespace too where the host's belong to nobody it knows.
        for (const each of input.host.writable) {
          if (each.path.startsWith(`${path}/`))
            folders.push({ path: `${input.folder}/upper${each.path}`, mode: each.mode });
        }
      }
    }
  };
  for (const entry of input.host.top) show(entry, '');
  const etcIsOverlaid = input.host.top.some(
    (entry) => entry.name === 'etc' && entry.kind === 'directory' && entry.shown.kind === 'overlay',
  );
  for (const name of ['proc', 'tmp', 'run', 'dev', 'dev/pts', 'dev/shm'])
    folders.push({ path: `${root}/${name}`, mode: 0o755 });
  before.push(
    input.hostPid
      ? line('/proc', `${root}/proc`, 'none', 'rbind')
      : line('ambit-proc', `${root}/proc`, 'proc', 'nosuid,nodev,noexec'),
    ...(input.isPrivileged ? [] : input.host.guardedProc.map((name) => guardProc(`${root}/proc/${name}`))),
    ...(input.isPrivileged ? [] : input.host.maskedProc.map((name) => maskProc(`${root}/proc/${name}`))),
    // The container's own /dev: what it removes there is not the machine's.
    ...input.host.devices.map((name) => line(`/dev/${name}`, `${root}/dev/${name}`, 'none', 'bind')),
    line('ambit-pts', `${root}/dev/pts`, 'devpts', 'nosuid,noexec,newinstance,ptmxmode=0666,mode=0620'),
    line(input.sharedMemory, `${root}/dev/shm`, 'none', 'bind,nosuid,nodev'),
    line('ambit-tmp', `${root}/tmp`, 'tmpfs', 'nosuid,nodev,mode=1777'),
    line('ambit-run', `${root}/run`, 'tmpfs', 'nosuid,nodev,mode=755'),
  );

  for (const [name, target] of Object.entries(deviceLinks)) links.push({ path: `${root}/dev/${name}`, target });

  const files = input.host.devices.map((name) => ({ path: `${root}/dev/${name}`, content: '' }));
  const after: string[] = [];
  const targets = { files: [] as string[], folders: [] as string[] };
  const identities: string[] = [];
  let staged = 0;
  /** Binds something from outside under a name inside, and gives that. */
  const stage = (source: string, isFile: boolean, options: readonly string[]): string => {
    const path = `${mountsFolder}/${++staged}`;
    if (isFile) files.push({ path: root + path, content: '' });
    else folders.push({ path: root + path, mode: 0o755 });
    before.push(line(source, root + path, 'none', ['rbind', ...options].join(',')));
    return path;
  };
  for (const [path, content] of input.files) {
    if (path.startsWith('/etc/') && etcIsOverlaid) {
      files.push({ path: `${input.folder}/upper${path}`, content });
    } else {
      const source = `${input.folder}/files${path.replaceAll('/', '-')}`;
      files.push({ path: source, content });
      after.push(line(stage(source, true, ['rprivate']), path, 'none', 'bind'));
      targets.files.push(path);
    }
  }
  after.push(...planVisibility(input, stage));
  // Nothing can be made there later.
  if (input.isReadOnly) targets.folders.push(...input.kept);
  for (const volume of byDepth(input.volumes, (each) => each.target)) {
    const options = [volume.fromHost ? 'rslave' : 'rprivate'];
    if (volume.readOnly) options.push('ro', ...mountFlags(input.host, volume.source));
    const source = stage(volume.source, volume.isFile, options);
    if (volume.identity !== undefined) identities.push(`${source} ${volume.identity}`);
    if (volume.isFile) targets.files.push(volume.target);
    else if (input.isReadOnly) targets.folders.push(volume.target);
    after.push(
      line(source, volume.target, 'none', ['rbind', ...options, ...(volume.isFile ? [] : ['x-mount.mkdir'])].join(',')),
    );
  }
  after.push(line('ambit-mounts', mountsFolder, 'tmpfs', 'ro,mode=755'));
  files.push(
    { path: `${root}${mountsFolder}/fstab`, content: text(after) },
    { path: `${root}${mountsFolder}/files`, content: text(targets.files) },
    { path: `${root}${mountsFolder}/folders`, content: text(targets.folders) },
    { path: `${root}${mountsFolder}/read-only`, content: text(input.isReadOnly ? readOnly : []) },
  );
  return { folders, links, files, before: text(before), identities: text(identities) };
}

/** A directory with all mounts below it. A mount is made read-only alone, not those below it, so each has a line; none can be bound without what is below. */
function bindReadOnly(host: HostView, path: string, target: string, more: readonly string[]): string[] {
  const options = (at: string): string[] => ['ro', ...more, ...mountFlags(host, at)];
  const lines = [line(path, target, 'none', ['rbind', ...options(path)].join(','))];
  const below = new Set(host.mounts.map((mount) => mount.path).filter((each) => each.startsWith(`${path}/`)));
  for (const each of below)
    lines.push(line(each, target + each.slice(path.length), 'none', ['rbind', ...options(each)].join(',')));
  return lines;
}

function guardProc(path: string): string {
  return line(path, path, 'none', 'rbind,ro,nosuid,nodev,noexec');
}

function maskProc(path: string): string {
  return line('/dev/null', path, 'none', 'bind');
}

/** Hides and keeps folders from the outside in, so that a kept one inside a hidden one, or the other way round, comes right. */
function planVisibility(
  input: RootPlanInput,
  stage: (source: string, isFile: boolean, options: readonly string[]) => string,
): string[] {
  const rules = [
    ...input.hidden.map((path) => ({ path, hide: true })),
    ...input.kept.map((path) => ({ path, hide: false })),
  ];
  const covers: { path: string; hide: boolean }[] = ['/tmp', '/run', '/var/run'].map((path) => ({ path, hide: true }));
  const lines: string[] = [];
  for (const rule of byDepth(rules, (each) => each.path)) {
    const cover = covers.findLast(({ path }) => rule.path === path || rule.path.startsWith(`${path}/`));
    const isHidden = cover?.hide ?? false;
    if (rule.hide === isHidden) continue;
    covers.push(rule);
    // A source of its own: `mount -a` passes over what looks mounted already.
    if (rule.hide) {
      const holdsKept = input.kept.some((path) => path.startsWith(`${rule.path}/`));
      const options = holdsKept ? 'size=64k,nr_inodes=64,mode=755' : 'ro,mode=755';
      lines.push(line(`ambit-hidden-${covers.length}`, rule.path, 'tmpfs', options));
    } else {
      const options = ['rprivate', 'ro', ...mountFlags(input.host, rule.path)];
      const source = stage(rule.path, false, options);
      lines.push(line(source, rule.path, 'none', ['rbind', ...options, 'x-mount.mkdir'].join(',')));
    }
  }
  return lines;
}

function byDepth<T>(all: readonly T[], pathOf: (each: T) => string): T[] {
  const depth = (each: T): number => pathOf(each).split('/').filter(Boolean).length;
  return [...all].sort((a, b) => depth(a) - depth(b));
}

function line(source: string, target: string, type: string, options: string): string {
  return [source, target, type, options, '0', '0'].map(escapeField).join(' ');
}

function text(lines: readonly string[]): string {
  return lines.map((each) => `${each}\n`).join('');
}

/** fstab(5) writes blanks and backslashes in octal. */
function escapeField(field: string): string {
  return field.replaceAll(/[\s\\]/g, (found) => `\\${found.charCodeAt(0).toString(8).padStart(3, '0')}`);
}
