/** What a container is doing, and how the API is told of it. */
import type { Container, ContainerState, ContainerStatus } from '../../api/index.ts';
import { containerFacts } from './container-facts.ts';
import type { ContainerExit, ContainerProcess } from './container-process.ts';

export type ContainerPhase =
  | { readonly kind: 'waiting'; readonly reason: string; readonly message?: string }
  | { readonly kind: 'running'; readonly startedAtMs: number; readonly process: ContainerProcess }
  | { readonly kind: 'terminated'; readonly end: ContainerEnd };

export interface ContainerEnd {
  readonly exitCode: number;
  readonly signal?: number;
  readonly reason: string;
  readonly message?: string;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
}

export interface ContainerView {
  readonly container: Container;
  readonly podUid: string;
  /** It is meant to end: then it is ready. */
  readonly isInit: boolean;
  readonly phase: ContainerPhase;
  /** Of the run before this one. */
  readonly last: ContainerEnd | undefined;
  readonly restartCount: number;
  /** Its startup probe, if any, succeeded. */
  readonly hasStarted: boolean;
  readonly isReady: boolean;
  /** Who it is, as it sees itself. */
  readonly user: (container: Container) => { readonly user: number; readonly group: number };
}

export function containerStatus(view: ContainerView): ContainerStatus {
  const { container, phase, last, restartCount } = view;
  const status: ContainerStatus = {
    name: container.name,
    state: stateOf(view),
    lastState: last ? { terminated: terminated(view, last, restartCount - 1) } : {},
    ready: view.isInit ? phase.kind === 'terminated' && phase.end.exitCode === 0 : view.isReady,
    restartCount,
    image: container.image ?? '',
    imageID: container.image ?? '',
    started: view.hasStarted,
  };
  if (phase.kind !== 'waiting') status.containerID = containerId(view, restartCount);
  // Until its first start there is nothing to tell.
  if (phase.kind === 'waiting' && !last) return status;
  return Object.assign(status, containerFacts(container, phase.kind === 'running' ? view.user(container) : undefined));
}

/** A time as Kubernetes writes it: RFC 3339 in whole seconds. */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

export function endOf(exit: ContainerExit): Pick<ContainerEnd, 'exitCode' | 'signal' | 'reason'> {
  return { ...exit, reason: exit.exitCode === 0 ? 'Completed' : 'Error' };
}

function stateOf(view: ContainerView): ContainerState {
  const { phase } = view;
  switch (phase.kind) {
    case 'waiting': {
      const { reason, message } = phase;
      return { waiting: message === undefined ? { reason } : { reason, message } };
    }
    case 'running':
      return { running: { startedAt: timestamp(phase.startedAtMs) } };
    case 'terminated':
      return { terminated: terminated(view, phase.end, view.restartCount) };
  }
}

function terminated(
  view: ContainerView,
  end: ContainerEnd,
  attempt: number,
): NonNullable<ContainerState['terminated']> {
  return {
    exitCode: end.exitCode,
    ...(end.signal === undefined ? {} : { signal: end.signal }),
    reason: end.reason,
    ...(end.message === undefined ? {} : { message: end.message }),
    startedAt: timestamp(end.startedAtMs),
    finishedAt: timestamp(end.finishedAtMs),
    containerID: containerId(view, attempt),
  };
}

function containerId({ podUid, container }: ContainerView, attempt: number): string {
  return `ambit://${podUid}/${container.name}/${attempt}`;
}
