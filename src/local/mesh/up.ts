/** Brings a local mesh up: namespaces, components, then the manifests. A second time applies the manifests to what runs. */
import { getServers } from 'node:dns';
import { createServer } from 'node:net';
import { accessSync, constants, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadKubeconfig, openKubeClient, type KubeClient } from '../../kube/index.ts';
import { sleep } from '../../lib/clock.ts';
import { AmbitError } from '../../lib/errors.ts';
import { silentLog } from '../../lib/log.ts';
import { tryReadKubeconfig, userEntry, writeKubeconfig, type StaticToken } from './credentials.ts';
import { isInitRunning, killInit, startInit, type SelfCommand } from './init.ts';
import { isSameProcess, startTicks } from './host-process.ts';
import { applyManifests, type Manifest } from './manifests.ts';
import { askSocket } from './node-socket.ts';
import { parsePublishedPort } from './published-ports.ts';
import { createStateDir, readMeshRecord, writeMeshRecord, type MeshRecord, type StatePaths } from './state-dir.ts';
import type { MeshStatus } from './supervisor.ts';
import { waitForRevived, waitForWorkloads } from './workloads-ready.ts';

export interface UpOptions {
  readonly paths: StatePaths;
  readonly self: SelfCommand;
  /** Absent: what the mesh has, or 2 for a new one. */
  readonly nodes?: number;
  readonly images: readonly string[];
  readonly manifests: readonly Manifest[];
  /** Run Kubernetes' own server from this binary. Absent: what the mesh has, or the embedded one for a new one. */
  readonly kubernetes?: string;
  /** Start the API server and the nodes alone. Absent: as the mesh is, or a whole one for a new one. */
  readonly bare?: boolean;
  /** A second kubeconfig to write the context into. */
  readonly kubeconfig?: string;
  /** `HOST-PORT:NAMESPACE/SERVICE:PORT`. Empty: what the mesh has. */
  readonly publish?: readonly string[];
  /** Let pods reach addresses outside through the host. Absent: what the mesh has, or no for a new one. */
  readonly egress?: boolean;
  readonly asRoot: boolean;
  /** Folders where programs are looked for. */
  readonly searchPath: readonly string[];
  readonly timeoutMs: number;
  readonly onProgress: (step: string) => void;
  readonly signal: AbortSignal;
}

/** How long pods of an earlier life are waited for. */
const revivedWithinMs = 30_000;

/** Resolves when every component is ready, the manifests are applied and their pods Ready. Throws `local.*` with the reason. */
export async function up(options: UpOptions): Promise<void> {
  const { paths, onProgress } = options;
  const deadlineMs = Date.now() + options.timeoutMs;
  requirePrograms(options.searchPath);
  // Better now than when everything runs.
  if (options.kubeconfig !== undefined) tryReadKubeconfig(options.kubeconfig);
  createStateDir(paths);
  const release = lock(paths);
  let isRevived: boolean;
  try {
    isRevived = await ensureRunning(options, deadlineMs);
  } finally {
    release();
  }
  if (options.kubeconfig !== undefined) writeUserKubeconfig(paths, options.kubeconfig);
  if (options.manifests.length === 0 && !isRevived) return;
  const client = openMeshClient(paths);
  try {
    if (options.manifests.length > 0) onProgress('applying the manifests');
    const applied = await applyManifests(client, options.manifests);
    onProgress('waiting for the pods');
    // On a bare mesh nobody deploys a Gateway.
    const isBare = readMeshRecord(paths)?.bare === true;
    const awaited = isBare ? applied.filter(({ kind }) => kind !== 'Gateway') : applied;
    await waitForWorkloads(client, awaited, { deadlineMs, onProgress, signal: options.signal });
    if (!isRevived) return;
    const revivedByMs = Math.min(deadlineMs, Date.now() + revivedWithinMs);
    const late = await waitForRevived(client, { deadlineMs: revivedByMs, onProgress, signal: options.signal });
    if (late.length > 0) onProgress(`not ready yet: ${late.join(', ')}`);
  } finally {
    await client.close();
  }
}

/** A client of the mesh's API by the state folder's own kubeconfig. */
export function openMeshClient(paths: StatePaths): KubeClient {
  return openKubeClient(loadKubeconfig(paths.kubeconfig), { log: silentLog() });
}

/** Resolves to whether it started a mesh that there was before. */
async function ensureRunning(options: UpOptions, deadlineMs: number): Promise<boolean> {
  const { paths } = options;
  const existing = readMeshRecord(paths);
  if (existing && isInitRunning(existing)) {
    if (options.nodes !== undefined && options.nodes !== existing.nodes)
      throw alreadyRuns(`with ${existing.nodes} nodes`);
    if (options.images.some((image) => !existing.images.includes(image))) throw alreadyRuns('with another image table');
    if (options.kubernetes !== undefined && options.kubernetes !== existing.kubernetes)
      throw alreadyRuns('with another API server');
    if (options.bare !== undefined && options.bare !== (existing.bare ?? false))
      throw alreadyRuns(options.bare ? 'with a control plane' : 'without a control plane');
    if ((options.publish ?? []).some((port) => !existing.publish?.includes(port)))
      throw alreadyRuns('with other published ports');
    if (options.egress !== undefined && options.egress !== (existing.egress !== undefined))
      throw alreadyRuns(options.egress ? 'without --egress' : 'with --egress');
    await waitForMesh(options, existing, deadlineMs);
    return false;
  }
  const kubernetes = options.kubernetes ?? existing?.kubernetes;
  const publish = options.publish?.length ? options.publish : (existing?.publish ?? []);
  if (kubernetes !== undefined) requireKubernetes(kubernetes);
  const record: MeshRecord = {
    nodes: options.nodes ?? existing?.nodes ?? 2,
    apiPort: await freePort(existing?.apiPort),
    images: options.images.length > 0 ? options.images : (existing?.images ?? []),
    ...(kubernetes === undefined ? {} : { kubernetes }),
    ...(publish.length > 0 ? { publish } : {}),
    ...((options.egress ?? existing?.egress !== undefined) ? { egress: { resolvers: getServers() } } : {}),
    ...((options.bare ?? existing?.bare) ? { bare: true } : {}),
  };
  await requireFreePorts(record.publish ?? []);
  writeMeshRecord(paths, record);
  rmSync(paths.sockets, { recursive: true, force: true });
  mkdirSync(paths.sockets, { mode: 0o700 });
  options.onProgress('starting the namespaces');
  const init = await startInit({ paths, self: options.self, record, asRoot: options.asRoot });
  writeMeshRecord(paths, { ...record, init });
  try {
    await waitForMesh(options, { ...record, init }, deadlineMs);
  } catch (error) {
    await killInit(init);
    throw error;
  }
  return existing !== undefined;
}

async function waitForMesh(options: UpOptions, record: MeshRecord, deadlineMs: number): Promise<void> {
  const { paths, onProgress } = options;
  let step = 'starting the namespaces';
  for (;;) {
    if (options.signal.aborted) throw failed('interrupted', paths);
    if (!isInitRunning(record)) throw failed('its init ended', paths);
    const status = await tryMeshStatus(paths);
    if (status?.phase.kind === 'ready') return;
    if (status?.phase.kind === 'starting' && status.phase.step !== step) onProgress((step = status.phase.step));
    if (status?.phase.kind === 'failed') throw failed(status.phase.message, paths);
    if (Date.now() > deadlineMs) {
      const late = status?.components
        .filter((component) => !component.ready)
        .map((component) => `${component.component} ${component.node}`.trim());
      throw failed(
        `not ready in time while ${step}${late && late.length > 0 ? ` (not ready: ${late.join(', ')})` : ''}`,
        paths,
      );
    }
    await sleep(100);
  }
}

/** What the supervisor says, or undefined while it does not answer. */
export async function tryMeshStatus(paths: StatePaths): Promise<MeshStatus | undefined> {
  try {
    return (await askSocket(paths.supervisorSocket, 'GET', '/status', 5000)) as MeshStatus;
  } catch {
    return undefined;
  }
}

function writeUserKubeconfig(paths: StatePaths, file: string): void {
  const tokens = JSON.parse(readFileSync(paths.tokens, 'utf8')) as StaticToken[];
  const caPem = readFileSync(join(paths.pki, 'apiserver-ca.pem'), 'utf8');
  const record = readMeshRecord(paths);
  if (!record) throw new Error('A running mesh has a record');
  writeKubeconfig(file, userEntry(paths, { tokens, caPem, apiPort: record.apiPort }));
}

function requirePrograms(searchPath: readonly string[]): void {
  const packages: Record<string, string> = {
    unshare: 'util-linux',
    nsenter: 'util-linux',
    mount: 'mount',
    ip: 'iproute2',
    nft: 'nftables',
  };
  const missing = Object.keys(packages).filter(
    (program) => !searchPath.some((folder) => isExecutable(join(folder, program))),
  );
  if (missing.length === 0) return;
  const names = [...new Set(missing.map((program) => packages[program]))].join(' ');
  throw new AmbitError(
    `Missing programs ${missing.join(', ')}: run 'sudo apt-get install -y ${names}', then try again`,
    {
      code: 'local.missing-programs',
      blame: 'downstream',
    },
  );
}

function requireKubernetes(binary: string): void {
  if (!isExecutable(binary)) {
    throw new AmbitError(`Cannot run ${binary}: it is no executable file; name the binary with --kubernetes`, {
      code: 'local.no-kubernetes',
      blame: 'downstream',
    });
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** One `up` at a time a state folder. A lock whose holder died is taken over. */
function lock(paths: StatePaths): () => void {
  const mine = JSON.stringify({ pid: process.pid, startTicks: startTicks(process.pid) });
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      writeFileSync(paths.lockFile, mine, { flag: 'wx', mode: 0o600 });
      return () => rmSync(paths.lockFile, { force: true });
    } catch {
      const holder = tryReadHolder(paths.lockFile);
      if (holder && isSameProcess(holder)) {
        throw new AmbitError(
          `Another 'ambit up' (process ${holder.pid}) works on ${paths.root}: wait for it, or choose another --state`,
          {
            code: 'local.locked',
            blame: 'downstream',
          },
        );
      }
      rmSync(paths.lockFile, { force: true });
    }
  }
  throw new AmbitError(`Cannot lock ${paths.lockFile}: try again`, { code: 'local.locked', blame: 'downstream' });
}

function tryReadHolder(path: string): { pid: number; startTicks: string } | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as { pid: number; startTicks: string };
  } catch {
    return undefined;
  }
}

/** The port of before if it is free, so that kubeconfigs stay good; else one that the kernel picks. */
async function freePort(preferred: number | undefined): Promise<number> {
  return (preferred === undefined ? undefined : await tryPort(preferred)) ?? (await tryPort(0)) ?? 0;
}

async function requireFreePorts(publish: readonly string[]): Promise<void> {
  for (const text of publish) {
    const { hostPort } = parsePublishedPort(text);
    if ((await tryPort(hostPort)) !== undefined) continue;
    throw new AmbitError(`Cannot publish "${text}": port ${hostPort} of 127.0.0.1 is taken or not allowed`, {
      code: 'local.publish',
      blame: 'downstream',
    });
  }
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : undefined));
    });
  });
}

function failed(reason: string, paths: StatePaths): AmbitError {
  return new AmbitError(`Cannot bring the mesh up: ${reason}; see the logs in ${paths.logs}`, {
    code: 'local.up-failed',
    blame: 'internal',
  });
}

function alreadyRuns(how: string): AmbitError {
  return new AmbitError(`The mesh runs already ${how}: run 'ambit down' first, or choose another --state`, {
    code: 'local.already-running',
    blame: 'downstream',
  });
}
