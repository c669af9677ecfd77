/** One container as part of its pod: under which rules it is supervised, and how each of its runs starts. */
import { join } from 'node:path';
import type { Container, Pod } from '../../api/index.ts';
import { AmbitError } from '../../lib/errors.ts';
import { confinementOf, userFault, type ContainerTarget } from './confinement.ts';
import { execInContainer } from './container-exec.ts';
import type { ContainerProcess } from './container-process.ts';
import { startContainer, type StartedContainer } from './container-start.ts';
import { ContainerSupervisor, type ContainerDefinition } from './container-supervisor.ts';
import type { PodFacts } from './field-path.ts';
import { findContainerCommand } from './image-table.ts';
import type { NodeContext } from './node-context.ts';
import type { PodSandbox } from './pod-sandbox.ts';
import type { PodVolumes } from './pod-volumes.ts';
import { probeMark } from './probe-mark.ts';
import { tellRefusals, type ContainerEvent } from './refused-privileges.ts';
import { podBackoff, systemBackoff } from './restart-backoff.ts';

/** What a container needs of its pod. What is asked for by a call may change while it lives. */
export interface ContainerHost {
  readonly node: NodeContext;
  /** Of the pod on this node. */
  readonly uid: string;
  readonly isSystem: boolean;
  readonly graceMs: number;
  /** Of the pod. */
  readonly memoryFolder: string;
  readonly logFolder: string;
  readonly volumes: PodVolumes;
  readonly pod: () => Pod;
  readonly sandbox: () => PodSandbox | undefined;
  readonly facts: () => PodFacts;
  readonly hostPid: () => boolean;
  /** The last start of this container. */
  readonly started: (name: string) => StartedContainer | undefined;
  readonly onStarted: (name: string, started: StartedContainer) => void;
  /** What a command needs to run in the container; undefined while that does not run. */
  readonly running: (name: string) => ContainerTarget | undefined;
  readonly onChange: () => void;
  readonly onEvent: (type: 'Normal' | 'Warning', reason: string, message: string, fieldPath: string) => void;
}

/** It does not run yet. */
export function superviseContainer(container: Container, isInit: boolean, host: ContainerHost): ContainerSupervisor {
  const { node, uid, isSystem, graceMs, onChange } = host;
  const { name } = container;
  const pod = host.pod();
  const isSidecar = isInit && container.restartPolicy === 'Always';
  const podPolicy = pod.spec.restartPolicy ?? 'Always';
  const ofInit = podPolicy === 'Never' ? 'Never' : 'OnFailure';
  const event: ContainerEvent = (type, reason, message) =>
    host.onEvent(type, reason, message, `spec.${isInit ? 'initContainers' : 'containers'}{${name}}`);
  const supervisor: ContainerSupervisor = new ContainerSupervisor({
    definition: defineContainer(container, node.images),
    graceMs,
    podUid: uid,
    isInit: isInit && !isSidecar,
    restartPolicy: isSidecar ? 'Always' : isInit ? ofInit : podPolicy,
    backoff: isSystem ? systemBackoff : podBackoff,
    restartCount: runsBefore(pod, name, isInit),
    clock: node.clock,
    onChange,
    onEvent: event,
    endMessage: async (exit) => (await host.started(name)?.endMessage(exit)) ?? '',
    user: (current) => {
      const confinement = confinementOf(host.pod(), current, isSystem);
      return confinement.kind === 'confined' ? confinement : { user: 0, group: 0 };
    },
    probeTarget: () => ({
      container: supervisor.container,
      podIp: host.sandbox()?.podIp ?? '127.0.0.1',
      mark: probeMark,
      exec: async (command, timeoutMs) => {
        const running = host.running(name);
        if (!running) throw new Error('the container does not run');
        return execInContainer({ target: running, command, timeoutMs });
      },
    }),
    start: (attempt) => start(supervisor.container, attempt, host, event),
  });
  return supervisor;
}

export function defineContainer(container: Container, images: NodeContext['images']): ContainerDefinition {
  const lookup = findContainerCommand(container, images);
  return { container, imageProblem: lookup.kind === 'unknown' ? lookup.message : undefined };
}

/** Restarts that the API already knows of, when the pod ran here before the node itself started again. */
function runsBefore(pod: Pod, name: string, isInit: boolean): number {
  const statuses = isInit ? pod.status?.initContainerStatuses : pod.status?.containerStatuses;
  const before = statuses?.find((each) => each.name === name);
  const hasRun = before?.containerID !== undefined || before?.lastState?.terminated !== undefined;
  return hasRun ? before.restartCount + 1 : 0;
}

/** Throws `runtime.config` when something that it refers to is missing, or wrong. */
async function start(
  container: Container,
  attempt: number,
  host: ContainerHost,
  event: ContainerEvent,
): Promise<ContainerProcess> {
  const { node, isSystem, volumes, memoryFolder, logFolder } = host;
  const pod = host.pod();
  const sandbox = host.sandbox();
  const lookup = findContainerCommand(container, node.images);
  if (!sandbox || lookup.kind === 'unknown') throw new Error('A container starts in a sandbox, with a command');
  const fault = userFault(pod, container);
  if (fault !== undefined) throw new AmbitError(fault, { code: 'runtime.config', blame: 'downstream' });
  tellRefusals(pod, container, isSystem, event);
  event('Normal', 'Pulled', `Container image "${container.image ?? ''}" already present on machine`);
  const started = await startContainer({
    node,
    facts: host.facts(),
    sandbox,
    volumes,
    container,
    confinement: confinementOf(pod, container, isSystem),
    hostPid: host.hostPid(),
    command: lookup.command,
    attempt,
    memoryFolder: join(memoryFolder, 'containers'),
    logFolder,
  });
  host.onStarted(container.name, started);
  event('Normal', 'Created', `Created container ${container.name}`);
  return started.process;
}
