/** Everything between "this container should run" and its process: references, environment, mounts, log. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { kinds, type ConfigMap, type Container, type Secret } from '../../api/index.ts';
import { AmbitError } from '../../lib/errors.ts';
import { ContainerLog } from './container-log.ts';
import { startContainerProcess, type ContainerProcess } from './container-process.ts';
import { expand, resolveEnvironment } from './environment.ts';
import type { PodFacts } from './field-path.ts';
import type { NodeContext } from './node-context.ts';
import { planPodFiles, podHostName } from './pod-files.ts';
import type { PodSandbox } from './pod-sandbox.ts';
import type { PodVolumes } from './pod-volumes.ts';
import { planContainerRoot } from './root-plan.ts';

export interface ContainerStartOptions {
  readonly node: NodeContext;
  readonly facts: PodFacts;
  readonly sandbox: PodSandbox;
  readonly volumes: PodVolumes;
  readonly container: Container;
  /** From the image table or the container itself, before expansion. */
  readonly command: readonly string[];
  readonly attempt: number;
  readonly memoryFolder: string;
  readonly logFolder: string;
}

export interface StartedContainer {
  readonly process: ContainerProcess;
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
}

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
  const hostName = facts.pod.spec.hostNetwork ? node.nodeName : podHostName(facts.pod);
  const root = planContainerRoot({
    host: node.host,
    folder,
    hidden: node.hidden,
    kept: node.kept,
    volumes: await options.volumes.binds(container, environment),
    files: planPodFiles({
      pod: facts.pod,
      podIp: sandbox.podIp,
      hostName,
      clusterDnsIp: node.clusterDnsIp,
      nodeResolvConf: node.nodeResolvConf,
    }),
    hostPid: facts.pod.spec.hostPID ?? false,
    isPrivileged: container.securityContext?.privileged ?? false,
  });
  const workingDirectory = container.workingDir || '/';
  try {
    const process = await startContainerProcess({
      folder,
      root,
      hostName,
      hostPid: facts.pod.spec.hostPID ?? false,
      hostIpc: facts.pod.spec.hostIPC ?? false,
      command: options.command.map((word) => expand(word, environment)),
      environment,
      workingDirectory,
      onOutput: (stream, source) => log.attach(stream, source),
      ...(sandbox.netnsPath === undefined ? {} : { netnsPath: sandbox.netnsPath }),
    });
    const exited = process.exited.then(async (exit) => {
      await log.close();
      return exit;
    });
    return { process: { ...process, exited }, environment, workingDirectory };
  } catch (error) {
    await log.close();
    throw error;
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
  for (const name of configMaps.keys()) configMaps.set(name, await node.objects.read(kinds.ConfigMap, namespace, name));
  for (const name of secrets.keys()) secrets.set(name, await node.objects.read(kinds.Secret, namespace, name));
  const result = resolveEnvironment({
    container,
    facts,
    configMap: (name) => configMaps.get(name),
    secret: (name) => secrets.get(name),
    capacity: node.capacity,
  });
  if (result.kind === 'ready') return result.environment;
  throw new AmbitError(result.message, { code: 'runtime.config', blame: 'downstream' });
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
