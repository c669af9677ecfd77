import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { mountFlags, parseMountInfo, type HostEntry, type HostView, type Shown } from './host-view.ts';
import { planContainerRoot, type RootPlanInput } from './root-plan.ts';

const directory = (name: string, shown?: Shown): HostEntry => ({
  kind: 'directory',
  name,
  mode: 0o755,
  shown: shown ?? { kind: 'overlay', lower: `/${name}` },
});
const host: HostView = {
  top: [
    { kind: 'link', name: 'bin', target: 'usr/bin' },
    directory('etc'),
    directory('usr'),
    directory('home', { kind: 'bound' }),
    directory('root', { kind: 'empty' }),
  ],
  devices: ['null', 'tty'],
  guardedProc: ['sys'],
  maskedProc: ['kcore'],
  writable: [{ path: '/usr/local', mode: 0o755 }],
  mounts: [
    { path: '/', flags: ['relatime'] },
    { path: '/home', flags: ['nosuid', 'nodev'] },
    { path: '/srv/data', flags: ['noexec'] },
  ],
};
const plan = (more: Partial<RootPlanInput> = {}): ReturnType<typeof planContainerRoot> =>
  planContainerRoot({
    host,
    folder: '/run/c',
    hidden: [],
    kept: [],
    volumes: [],
    files: new Map(),
    hostPid: false,
    sharedMemory: '/run/shm',
    isPrivileged: false,
    isConfined: false,
    isReadOnly: false,
    ...more,
  });
/** What one of the files of the mounts folder holds. */
const list = (planned: ReturnType<typeof plan>, name: string): string =>
  planned.files.find(({ path }) => path === `/run/c/root/.mounts/${name}`)?.content ?? '';
const after = (planned: ReturnType<typeof plan>): string =>
  list(planned, 'fstab').replace(/^ambit-mounts \/\.mounts .*\n$/m, '');
const targets = (fstab: string): string[] =>
  fstab
    .trim()
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '');

test('top directories are overlaid, so that writes stay with the container', () => {
  const { before, links, folders } = plan();
  match(
    before,
    /^overlay \/run\/c\/root\/usr overlay lowerdir=\/usr,upperdir=\/run\/c\/upper\/usr,workdir=\/run\/c\/work\/usr /m,
  );
  match(before, /^overlay \/run\/c\/root\/etc overlay /m);
  match(before, /^\/home \/run\/c\/root\/home none rbind,ro,nosuid,nodev /m);
  match(before, /^ambit-tmp \/run\/c\/root\/tmp tmpfs /m);
  deepEqual(links[0], { path: '/run/c/root/bin', target: 'usr/bin' });
  ok(folders.some(({ path }) => path === '/run/c/root/.host'));
});

test("the pod's own files in /etc are in the upper layer before it is mounted", () => {
  const planned = plan({ files: new Map([['/etc/hosts', 'x']]) });
  ok(planned.files.some(({ path, content }) => path === '/run/c/upper/etc/hosts' && content === 'x'));
  ok(!after(planned).includes('/etc/hosts'));
});

test('what is hidden is covered from the outside in, and what is kept shows through', () => {
  const lines = (hidden: string[], kept: string[]): string[] => targets(after(plan({ hidden, kept })));
  deepEqual(lines(['/home/me/.ambit'], ['/home/me/repo']), ['/home/me/.ambit']);
  deepEqual(lines(['/srv/repo/state'], ['/srv/repo']), ['/srv/repo/state']);
  deepEqual(lines(['/srv'], ['/srv/repo', '/usr/bin']), ['/srv', '/srv/repo']);
  deepEqual(lines(['/srv', '/srv/repo/state', '/srv/other'], ['/srv/repo']), ['/srv', '/srv/repo', '/srv/repo/state']);
  // /tmp is private already.
  deepEqual(lines(['/tmp/state', '/tmp/repo/state'], ['/tmp/repo']), ['/tmp/repo', '/tmp/repo/state']);
});

test('volumes come last, outer ones first, by way of a folder that is covered then', () => {
  const planned = plan({
    volumes: [
      { source: '/srv/data/x y', target: '/data/inner', readOnly: true, fromHost: false, isFile: false },
      { source: '/run/v', target: '/data', readOnly: false, fromHost: true, isFile: false },
      { source: '/run/f', target: '/etc/one', readOnly: false, fromHost: false, isFile: true, identity: '7:11' },
    ],
  });
  deepEqual(targets(after(planned)), ['/data', '/data/inner', '/etc/one']);
  match(planned.before, /^\/run\/v \/run\/c\/root\/\.mounts\/1 none rbind,rslave /m);
  match(planned.before, /^\/srv\/data\/x\\040y \/run\/c\/root\/\.mounts\/2 none rbind,rprivate,ro,noexec /m);
  match(after(planned), /^\/\.mounts\/1 \/data none rbind,rslave,x-mount\.mkdir /m);
  match(after(planned), /^\/\.mounts\/2 \/data\/inner none rbind,rprivate,ro,noexec,x-mount\.mkdir /m);
  match(list(planned, 'fstab'), /\nambit-mounts \/\.mounts tmpfs ro,mode=755 0 0\n$/);
  equal(list(planned, 'files'), '/etc/one\n');
  equal(planned.identities, '/.mounts/3 7:11\n');
});

test('what is mounted below a folder that is shown read-only is read-only too', () => {
  const { before } = plan({
    host: { ...host, mounts: [...host.mounts, { path: '/home/me/disk', flags: ['noexec'] }] },
    isConfined: true,
  });
  match(before, /^\/home \/run\/c\/root\/home none rbind,ro,nosuid,nodev,nosuid,nodev /m);
  match(before, /^\/home\/me\/disk \/run\/c\/root\/home\/me\/disk none rbind,ro,nosuid,nodev,noexec /m);
});

test('a read-only root is read-only but for its volumes, whose places are made before', () => {
  const volume = { source: '/run/v', target: '/data/inner', readOnly: false, fromHost: false, isFile: false };
  const planned = plan({ isReadOnly: true, volumes: [volume] });
  equal(list(planned, 'read-only'), '/\n/tmp\n/run\n/etc\n/usr\n');
  equal(list(planned, 'folders'), '/data/inner\n');
  equal(list(plan(), 'read-only'), '');
});

test("a container in init's pid namespace sees init's /proc", () => {
  match(plan({ hostPid: true }).before, /^\/proc \/run\/c\/root\/proc none rbind /m);
});

test('mount tables are read with their escapes, and the innermost mount counts', () => {
  const mounts = parseMountInfo(
    '22 27 0:21 / / rw,relatime shared:1 - ext4 /dev/vda rw\n28 27 0:25 / /mnt/a\\040b ro,nosuid,nodev - tmpfs t ro,size=4k\n',
  );
  deepEqual(mounts, [
    { path: '/', flags: ['relatime'] },
    { path: '/mnt/a b', flags: ['ro', 'nosuid', 'nodev'] },
  ]);
  const view = { top: [], devices: [], guardedProc: [], maskedProc: [], writable: [], mounts };
  deepEqual(mountFlags(view, '/mnt/a b/c'), ['ro', 'nosuid', 'nodev']);
  deepEqual(mountFlags(view, '/mnt/a bc'), ['relatime']);
});

test('a container has a /dev of its own with the harmless devices in it', () => {
  const { before, files, links } = plan();
  match(before, /^\/dev\/null \/run\/c\/root\/dev\/null none bind /m);
  match(before, /^ambit-pts \/run\/c\/root\/dev\/pts devpts nosuid,noexec,newinstance/m);
  ok(!/^\/dev /m.test(before));
  deepEqual(
    files.filter(({ path }) => path.includes('/dev/')),
    [
      { path: '/run/c/root/dev/null', content: '' },
      { path: '/run/c/root/dev/tty', content: '' },
    ],
  );
  ok(links.some(({ path, target }) => path === '/run/c/root/dev/stdout' && target === '/proc/self/fd/1'));
});

test('kernel settings are for privileged containers', () => {
  match(plan().before, /^\/run\/c\/root\/proc\/sys \/run\/c\/root\/proc\/sys none rbind,ro,/m);
  ok(!plan({ isPrivileged: true }).before.includes('proc/sys '));
});

test("another user's folder is an empty one of the container's, and usual places can be written", () => {
  const { before, folders } = plan();
  ok(!before.includes('/root/root '));
  const paths = folders.map(({ path }) => path);
  ok(paths.includes('/run/c/root/root'));
  ok(paths.includes('/run/c/upper/usr/local'));
});

test('a directory that cannot be overlaid as a whole is put together from what is in it', () => {
  const shown: Shown = {
    kind: 'entries',
    entries: [
      { kind: 'link', name: 'run', target: '/run' },
      directory('log', { kind: 'overlay', lower: '/var/log' }),
      directory('lib', { kind: 'bound' }),
    ],
  };
  const { before, links, folders } = plan({ host: { ...host, top: [directory('var', shown)] } });
  match(before, /^overlay \/run\/c\/root\/var\/log overlay lowerdir=\/var\/log,upperdir=\/run\/c\/upper\/var\/log,/m);
  match(before, /^\/var\/lib \/run\/c\/root\/var\/lib none rbind,ro,relatime /m);
  ok(links.some(({ path, target }) => path === '/run/c/root/var/run' && target === '/run'));
  ok(folders.some(({ path }) => path === '/run/c/root/var'));
});
