/** Everything between "this container should run" and its process: references, environment, mounts, log. */
import { constants } from 'node:fs';
import { mkdir, open, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { kinds, type ConfigMap, type Container, type Secret } from '../../api/index.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import type { Confinement } from './confinement.ts';
import { ContainerLog } from './container-log.ts';
import { startContainerProcess, type ContainerExit, type ContainerProcess } from './container-process.ts';
import { expand, resolveEnvironment } from './environment.ts';
import type { PodFacts } from './field-path.ts';
import type { NodeContext } from './node-context.ts';
import { planPodFiles } from './pod-files.ts';
import type { PodSandbox } from './pod-sandbox.ts';
import type { PodVolumes } from './pod-volumes.ts';
import { planContainerRoot } from './root-plan.ts';
import { serviceEnvironment } from './service-environment.ts';
import { sourceAnnotation } from './static-pods.ts';
import type { AttachTarget } from './streaming/attach.ts';
import { OutputHub } from './streaming/output-hub.ts';

export interface ContainerStartOptions {
  readonly node: NodeContext;
  readonly facts: PodFacts;
  readonly sandbox: PodSandbox;
  readonly volumes: PodVolumes;
  readonly container: Container;
  readonly confinement: Confinement;
  readonly hostPid: boolean;
  /** From the image table or the container itself, before expansion. */
  readonly command: readonly string[];
  readonly attempt: number;
  readonly memoryFolder: string;
  readonly logFolder: string;
}

export interface StartedContainer {
  readonly process: ContainerProcess;
  /** What the container wrote to its termination log, or failing that, where it asks for it, the end of its output. */
  readonly endMessage: (exit: ContainerExit) => Promise<string>;
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  readonly streams: AttachTarget;
}

/** Where a container leaves its last word, and the file of its folder that is mounted there. */
const defaultEndPath = '/dev/termination-log';
const endFileName = 'termination-log';
/** Kubernetes keeps as much. */
const messageBytes = 4096;

/** Path of the log of a container's n-th run. */
export function logPath(logFolder: string, container: string, attempt: number): string {
  return join(logFolder, container, `${attempt}.log`);
}

/**
 * Starts the container. Throws `runtime.config` when a reference is missing, `runtime.volume` or `runtime.start-failed`
 * when its root cannot be made.
 */
export async function startContainer(options: ContainerStartOptions): Promise<StartedContainer> {
  const { node, facts, sandbox, container } = options;
  const environment = await readEnvironment(options);
  const folder = join(options.memoryFolder, container.name, String(options.attempt));
  await removeFolder(join(options.memoryFolder, container.name));
  const log = await openLog(options);
  const isSystem = options.confinement.kind === 'system';
  const endFile = join(folder, endFileName);
  const root = planContainerRoot({
    host: node.host,
    folder,
    hidden: node.hidden,
    kept: node.kept,
    volumes: [
      ...(await options.volumes.binds(container, environment)),
      {
        source: endFile,
        target: container.terminationMessagePath ?? defaultEndPath,
        readOnly: false,
        fromHost: false,
        isFile: true,
      },
    ],
    files: planPodFiles({
      pod: facts.pod,
      podIp: sandbox.podIp,
      podIps: sandbox.podIps,
      hostName: sandbox.hostName,
      clusterDnsIp: node.clusterDnsIp,
      nodeResolvConf: node.nodeResolvConf,
    }),
    hostPid: options.hostPid,
    sharedMemory: sandbox.sharedMemory,
    isPrivileged: isSystem && (container.securityContext?.privileged ?? false),
    isConfined: !isSystem,
    isReadOnly: container.securityContext?.readOnlyRootFilesystem ?? false,
  });
  const workingDirectory = container.workingDir || '/';
  const outputs = new OutputHub();
  try {
    const process = await node.gate.run(() =>
      startContainerProcess({
        folder,
        root: { ...root, files: [...root.files, { path: endFile, content: '' }] },
        namespaces: sandbox.namespaces,
        hostPid: options.hostPid,
        input: container.tty ? 'terminal' : container.stdin ? 'pipe' : 'none',
        isInputOnce: container.stdinOnce ?? false,
        command: options.command.map((word) => expand(word, environment)),
        confinement: options.confinement,
        environment: container.tty ? { TERM: 'xterm', ...environment } : environment,
        workingDirectory,
        onOutput(stream, source) {
          log.attach(stream, source);
          outputs.add(stream, source);
        },
        ...(sandbox.netnsPath === undefined ? {} : { netnsPath: sandbox.netnsPath }),
      }),
    );
    const exited = process.exited.then(async (exit) => {
      await log.close();
      return exit;
    });
    return {
      process: { ...process, exited },
      environment,
      workingDirectory,
      streams: { outputs, ...(process.input ? { input: process.input } : {}) },
      endMessage: (exit) => readEndMessage(options, folder, exit),
    };
  } catch (error) {
    await log.close();
    throw error;
  }
}

async function readEndMessage(options: ContainerStartOptions, folder: string, exit: ContainerExit): Promise<string> {
  const { container, logFolder, attempt } = options;
  const written = await readEnd(join(folder, endFileName), messageBytes);
  if (written !== '' || exit.exitCode === 0 || container.terminationMessagePolicy !== 'FallbackToLogsOnError')
    return written;
  const lines = await readEnd(logPath(logFolder, container.name, attempt), messageBytes / 2);
  return lines.replaceAll(/^\S+ std(?:out|err) [FP] /gm, '');
}

/** The end of a plain file, "" when it is not there. */
async function readEnd(path: string, bytes: number): Promise<string> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.min(size, bytes));
    await file.read(buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString();
  } catch {
    return '';
  } finally {
    await file?.close();
  }
}

async function readEnvironment(options: ContainerStartOptions): Promise<Record<string, string>> {
  const { node, facts, container } = options;
  const namespace = facts.pod.metadata.namespace ?? 'default';
  const configMaps = new Map<string, ConfigMap | undefined>();
  const secrets = new Map<string, Secret | undefined>();
  for (const { configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef?.name) configMaps.set(configMapRef.name, undefined);
    if (secretRef?.name) secrets.set(secretRef.name, undefined);
  }
  for (const { valueFrom } of container.env ?? []) {
    if (valueFrom?.configMapKeyRef?.name) configMaps.set(valueFrom.configMapKeyRef.name, undefined);
    if (valueFrom?.secretKeyRef?.name) secrets.set(valueFrom.secretKeyRef.name, undefined);
  }
  let services: Readonly<Record<string, string>>;
  try {
    services = await readServices(options);
    for (const name of configMaps.keys())
      configMaps.set(name, await node.objects.read(kinds.ConfigMap, namespace, name));
    for (const name of secrets.keys()) secrets.set(name, await node.objects.read(kinds.Secret, namespace, name));
  } catch (error) {
    throw new AmbitError(messageOf(error), { code: 'runtime.config', blame: 'upstream', cause: error });
  }
  const result = resolveEnvironment({
    container,
    facts,
    configMap: (name) => configMaps.get(name),
    secret: (name) => secrets.get(name),
    capacity: node.capacity,
    services,
  });
  if (result.kind === 'ready') return result.environment;
  throw new AmbitError(result.message, { code: 'runtime.config', blame: 'downstream' });
}

/** A static pod does not wait for the API server, and may be what others wait for: it has what there is. */
async function readServices({ node, facts }: ContainerStartOptions): Promise<Record<string, string>> {
  if (facts.pod.metadata.annotations?.[sourceAnnotation] === undefined) await node.services.synced;
  return serviceEnvironment(facts.pod, node.services.all.values());
}

async function openLog(options: ContainerStartOptions): Promise<ContainerLog> {
  const { container, attempt, logFolder, node } = options;
  await mkdir(join(logFolder, container.name), { recursive: true, mode: 0o755 });
  // The current run and the one before are kept.
  if (attempt >= 2) await removeFolder(logPath(logFolder, container.name, attempt - 2));
  return new ContainerLog({ path: logPath(logFolder, container.name, attempt), log: node.log });
}

async function removeFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 2 });
}
