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
  /** It may change kernel settings, its network namespace's own among them. */
  readonly isPrivileged: boolean;
}

export interface RootPlan {
  /** Folders to make before, with their modes; in order. */
  readonly folders: readonly { readonly path: string; readonly mode: number }[];
  readonly links: readonly { readonly path: string; readonly target: string }[];
  readonly files: readonly { readonly path: string; readonly content: string }[];
  /** fstab(5) text, mounted before and after pivot_root; after it the old root is at `/.host`. */
  readonly before: string;
  readonly after: string;
  /** Paths in the container that have to exist as files before `after` is mounted. */
  readonly fileTargets: readonly string[];
}

/** Where the old root is between pivot_root and the end of the set-up. */
export const oldRoot = '/.host';

const deviceLinks: Readonly<Record<string, string>> = {
  fd: '/proc/self/fd',
  stdin: '/proc/self/fd/0',
  stdout: '/proc/self/fd/1',
  stderr: '/proc/self/fd/2',
  ptmx: 'pts/ptmx',
};

export function planContainerRoot(input: RootPlanInput): RootPlan {
  const root = `${input.folder}/root`;
  const folders = [input.folder, root, `${root}${oldRoot}`, `${input.folder}/upper`, `${input.folder}/work`].map(
    (path) => ({ path, mode: 0o755 }),
  );
  const links: { path: string; target: string }[] = [];
  const before = [line(root, root, 'none', 'rbind')];

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
        before.push(line(path, root + path, 'none', ['rbind', 'ro', ...mountFlags(input.host, path)].join(',')));
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
        before.push(
          line('overlay', root + path, 'overlay', `lowerdir=${shown.lower},upperdir=${upper},workdir=${work}`),
        );
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
    // The container's own /dev: what it removes there is not the machine's.
    ...input.host.devices.map((name) => line(`/dev/${name}`, `${root}/dev/${name}`, 'none', 'bind')),
    line('ambit-pts', `${root}/dev/pts`, 'devpts', 'nosuid,noexec,newinstance,ptmxmode=0666,mode=0620'),
    line('ambit-shm', `${root}/dev/shm`, 'tmpfs', 'nosuid,nodev,mode=1777'),
    line('ambit-tmp', `${root}/tmp`, 'tmpfs', 'nosuid,nodev,mode=1777'),
    line('ambit-run', `${root}/run`, 'tmpfs', 'nosuid,nodev,mode=755'),
  );

  for (const [name, target] of Object.entries(deviceLinks)) links.push({ path: `${root}/dev/${name}`, target });

  const files = [...input.host.devices, 'termination-log'].map((name) => ({
    path: `${root}/dev/${name}`,
    content: '',
  }));
  const after: string[] = [];
  const fileTargets: string[] = [];
  for (const [path, content] of input.files) {
    if (path.startsWith('/etc/') && etcIsOverlaid) {
      files.push({ path: `${input.folder}/upper${path}`, content });
    } else {
      const source = `${input.folder}/files${path.replaceAll('/', '-')}`;
      files.push({ path: source, content });
      after.push(line(`${oldRoot}${source}`, path, 'none', 'bind'));
      fileTargets.push(path);
    }
  }
  folders.push({ path: `${input.folder}/files`, mode: 0o755 });

  after.push(...planVisibility(input));
  for (const volume of byDepth(input.volumes, (each) => each.target)) {
    const options = ['rbind', volume.fromHost ? 'rslave' : 'rprivate'];
    if (volume.readOnly) options.push('ro', ...mountFlags(input.host, volume.source));
    if (volume.isFile) fileTargets.push(volume.target);
    else options.push('x-mount.mkdir');
    after.push(line(`${oldRoot}${volume.source}`, volume.target, 'none', options.join(',')));
  }
  return { folders, links, files, before: text(before), after: text(after), fileTargets };
}

function guardProc(path: string): string {
  return line(path, path, 'none', 'rbind,ro,nosuid,nodev,noexec');
}

/** Hides and keeps folders from the outside in, so that a kept one inside a hidden one, or the other way round, comes right. */
function planVisibility(input: RootPlanInput): string[] {
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
    const flags = mountFlags(input.host, rule.path);
    // A source of its own: `mount -a` passes over what looks mounted already.
    if (rule.hide) lines.push(line(`ambit-hidden-${covers.length}`, rule.path, 'tmpfs', 'ro,mode=755'));
    else
      lines.push(
        line(`${oldRoot}${rule.path}`, rule.path, 'none', ['rbind', 'ro', ...flags, 'x-mount.mkdir'].join(',')),
      );
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
