/** The state folder of a local mesh: where everything of it lies, and what was written down when it started. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { AmbitError } from '../../lib/errors.ts';

/** Paths inside a state folder. The folder has the same path inside and outside the mesh's namespaces. */
export interface StatePaths {
  readonly root: string;
  readonly kubeconfig: string;
  readonly pki: string;
  readonly tokens: string;
  readonly sockets: string;
  readonly logs: string;
  readonly manifests: string;
  /** Where etcd keeps the objects of `kubernetes`. */
  readonly etcd: string;
  readonly meshFile: string;
  readonly lockFile: string;
  readonly supervisorSocket: string;
  readonly apiserverSocket: string;
  readonly egressSocket: string;
}

/** What `up` decided at the first start; kept so that a later start, and every other command, finds the same mesh. */
export interface MeshRecord {
  readonly nodes: number;
  /** Port on the host's 127.0.0.1 where the API server answers. */
  readonly apiPort: number;
  /** `PATTERN=COMMAND` of `--image`. */
  readonly images: readonly string[];
  /** The binary whose API server and controllers run in place of the embedded ones; absolute. */
  readonly kubernetes?: string;
  /** An API server and nodes, and nothing of the mesh: somebody else installs it. */
  readonly bare?: boolean;
  /** `HOST-PORT:NAMESPACE/SERVICE:PORT` of `--publish`. */
  readonly publish?: readonly string[];
  /** Connections to addresses outside go through the host, which asks these resolvers for names outside. */
  readonly egress?: { readonly resolvers: readonly string[] };
  /** The process on the host that holds the namespaces, while it runs. */
  readonly init?: { readonly pid: number; readonly startTicks: string };
}

/** Unix socket paths end at 107 bytes (unix(7)); the longest name we put below the folder is this. */
const longestSocketName = '/run/supervisor.sock';

/** Paths of a state folder. Throws `local.state-path-too-long` when a socket below it could not be bound. */
export function statePaths(folder: string): StatePaths {
  const root = resolve(folder);
  if (Buffer.byteLength(root + longestSocketName) > 107) {
    throw new AmbitError(
      `Cannot use state folder "${root}": its path is too long for unix sockets; choose one of at most ${107 - longestSocketName.length} bytes with --state`,
      {
        code: 'local.state-path-too-long',
        blame: 'downstream',
      },
    );
  }
  if (root === '/run' || root.startsWith('/run/') || root.startsWith('/var/run/')) {
    throw new AmbitError(
      `Cannot use state folder "${root}": the mesh has a /run of its own; choose a folder outside /run with --state`,
      {
        code: 'local.state-below-run',
        blame: 'downstream',
      },
    );
  }
  return {
    root,
    kubeconfig: join(root, 'kubeconfig'),
    pki: join(root, 'pki'),
    tokens: join(root, 'pki/tokens.json'),
    sockets: join(root, 'run'),
    logs: join(root, 'logs'),
    manifests: join(root, 'manifests'),
    etcd: join(root, 'etcd'),
    meshFile: join(root, 'mesh.json'),
    lockFile: join(root, 'up.lock'),
    supervisorSocket: join(root, 'run/supervisor.sock'),
    apiserverSocket: join(root, 'run/apiserver.sock'),
    egressSocket: join(root, 'run/egress.sock'),
  };
}

/** Makes the folders. Only the owner may look into them: they hold tokens and keys. */
export function createStateDir(paths: StatePaths): void {
  for (const folder of [paths.root, paths.pki, paths.sockets, paths.logs, paths.manifests]) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }
}

/** The record of the mesh, or undefined where none was ever started. */
export function readMeshRecord(paths: StatePaths): MeshRecord | undefined {
  let text: string;
  try {
    text = readFileSync(paths.meshFile, 'utf8');
  } catch {
    return undefined;
  }
  try {
    return JSON.parse(text) as MeshRecord;
  } catch (cause) {
    throw new AmbitError(`Cannot read ${paths.meshFile}: it is not JSON; remove the file and run 'ambit up' again`, {
      code: 'local.state-corrupt',
      blame: 'internal',
      cause,
    });
  }
}

export function writeMeshRecord(paths: StatePaths, record: MeshRecord): void {
  writeFileAtomic(paths.meshFile, `${JSON.stringify(record, null, 2)}\n`);
}

/** Writes a file that only the owner reads, all of it or nothing. */
export function writeFileAtomic(path: string, text: string): void {
  const next = `${path}.next`;
  writeFileSync(next, text, { mode: 0o600 });
  renameSync(next, path);
}
