/** One pod on this node, from its sandbox to its end. Everything in it happens in one order; nothing of it throws. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Container, ContainerStatus, CoreCondition, ObjectReference, Pod, PodStatus } from '../../api/index.ts';
import { createBackoff } from '../../lib/backoff.ts';
import { sleep } from '../../lib/clock.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import { confinementOf, refusedPrivileges, isSystemPod, userFault, type ContainerTarget } from './confinement.ts';
import { execInContainer } from './container-exec.ts';
import { startContainer, type StartedContainer } from './container-start.ts';
import { ContainerSupervisor, timestamp, type ContainerDefinition } from './container-supervisor.ts';
import type { PodFacts } from './field-path.ts';
import { findContainerCommand } from './image-table.ts';
import { awaitMesh } from './mesh-admission.ts';
import type { NodeContext } from './node-context.ts';
import { openPodSandbox, type PodSandbox, type PodSandboxOptions } from './pod-sandbox.ts';
import { computePodStatus } from './pod-status.ts';
import { PodTokens } from './pod-tokens.ts';
import { PodVolumes } from './pod-volumes.ts';
import { probeMark } from './probe-mark.ts';
import { podBackoff, systemBackoff } from './restart-backoff.ts';
import type { AttachTarget } from './streaming/attach.ts';

export interface PodWorkerOptions {
  readonly node: NodeContext;
  readonly pod: Pod;
  /** Names the pod's folders and network namespace. */
  readonly uid: string;
  /** From a manifest of the node: it comes back fast when it dies. */
  readonly isStatic: boolean;
}

/** A container as the node's socket tells of it. */
export interface ContainerReport {
  readonly status: ContainerStatus;
  readonly isInit: boolean;
  /** The container's command in init's pid namespace. */
  readonly pid: number | undefined;
  /** Number of its current, or else its last, run. */
  readonly attempt: number;
}

const defaultGraceSeconds = 30;

export class PodWorker {
  readonly uid: string;
  readonly isStatic: boolean;
  /** Has what it asks for: it is one of the mesh's own. */
  readonly isSystem: boolean;
  /** Resolves when nothing of the pod is left on the node. */
  readonly done: Promise<void>;
  readonly #node: NodeContext;
  readonly #startTime: string;
  readonly #init: readonly ContainerSupervisor[];
  readonly #main: readonly ContainerSupervisor[];
  readonly #started = new Map<string, StartedContainer>();
  /** The pod was deleted. */
  readonly #stopping = new AbortController();
  /** Its containers must end, for that or another reason. */
  readonly #ending = new AbortController();
  readonly #tokens: PodTokens;
  readonly #volumes: PodVolumes;
  #pod: Pod;
  #sandbox: PodSandbox | undefined;
  #graceMs: number;
  #isInitialized = false;
  #isOver = false;
  #isNodeClosing = false;
  #failure: { reason: string; message: string } | undefined;
  #conditions: readonly CoreCondition[] = [];

  constructor(options: PodWorkerOptions) {
    const { node, pod, uid } = options;
    this.uid = uid;
    this.isStatic = options.isStatic;
    this.isSystem = options.isStatic || isSystemPod(pod, node.systemNamespaces);
    this.#node = node;
    this.#pod = pod;
    this.#graceMs = (pod.spec.terminationGracePeriodSeconds ?? defaultGraceSeconds) * 1000;
    this.#startTime = pod.status?.startTime ?? timestamp(node.clock.nowMs());
    const { namespace = 'default' } = pod.metadata;
    this.#tokens = new PodTokens({
      client: node.client,
      clock: node.clock,
      log: node.log,
      namespace,
      serviceAccount: pod.spec.serviceAccountName ?? 'default',
      pod: () => ({ name: this.#pod.metadata.name ?? '', uid: this.#pod.metadata.uid ?? '' }),
      onChange: () => this.#volumes.refresh(),
    });
    this.#volumes = new PodVolumes({
      namespace,
      memoryFolder: join(this.#memoryFolder, 'volumes'),
      diskFolder: join(this.#diskFolder, 'volumes'),
      facts: () => this.#facts(),
      capacity: node.capacity,
      objects: node.objects,
      tokens: this.#tokens,
      log: node.log,
      forbidden: this.isSystem ? [] : node.forbidden,
    });
    this.#init = (pod.spec.initContainers ?? []).map((container) => this.#supervise(container, true));
    this.#main = pod.spec.containers.map((container) => this.#supervise(container, false));
    this.done = this.#run();
  }

  get pod(): Pod {
    return this.#pod;
  }

  get netnsPath(): string | undefined {
    return this.#sandbox?.netnsPath;
  }

  get isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  get logFolder(): string {
    return join(this.#diskFolder, 'logs');
  }

  /** The object changed in the API: metadata shows in volumes, and a container with another image starts again. */
  update(pod: Pod): void {
    const isAnother = pod.metadata.uid !== this.#pod.metadata.uid;
    const isNewer = pod.metadata.generation !== this.#pod.metadata.generation;
    this.#pod = pod;
    if (isAnother) {
      this.#tokens.renewAll();
      this.#conditions = [];
    }
    this.#volumes.refresh();
    for (const container of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
      const supervisor = [...this.#init, ...this.#main].find((each) => each.container.name === container.name);
      // What the API has of a static pod is a copy; its manifest decides.
      if (this.isStatic || !supervisor || supervisor.container.image === container.image) continue;
      supervisor.change(this.#define(container));
    }
    const gates = (pod.spec.readinessGates ?? []).length > 0;
    if (isAnother || isNewer || gates) this.#report();
  }

  /** Ends the pod. May be called again with a shorter grace. */
  stop(graceMs: number): void {
    this.#stopping.abort(new Error('The pod is being stopped'));
    this.#endContainers(graceMs);
  }

  /** Ends the pod's processes because the node ends. The pod itself is not over: it runs again when the node is back. */
  close(graceMs: number): void {
    this.#isNodeClosing = !this.#isOver;
    this.stop(graceMs);
  }

  #endContainers(graceMs: number): void {
    if (!this.#ending.signal.aborted) {
      this.#graceMs = graceMs;
      this.#ending.abort(new Error('The pod is being stopped'));
    } else if (graceMs < this.#graceMs) {
      this.#graceMs = graceMs;
      this.#node.clock.after(graceMs, () => {
        for (const each of [...this.#init, ...this.#main]) each.kill();
      });
    }
  }

  containers(): ContainerReport[] {
    const report =
      (isInit: boolean) =>
      (each: ContainerSupervisor): ContainerReport => ({
        status: each.status(),
        isInit,
        pid: each.commandPid,
        attempt: each.attempt,
      });
    return [...this.#init.map(report(true)), ...this.#main.map(report(false))];
  }

  /** What a command needs to run in the container as if the container had started it; undefined while that does not run. */
  running(name: string): ContainerTarget | undefined {
    const supervisor = [...this.#init, ...this.#main].find((each) => each.container.name === name);
    const started = this.#started.get(name);
    if (supervisor?.pid === undefined || !started) return undefined;
    const { environment, workingDirectory } = started;
    const confinement = confinementOf(this.#pod, supervisor.container, this.isSystem);
    return { pid: supervisor.pid, confinement, hostPid: this.#hostPid, environment, workingDirectory };
  }

  /** What a container writes from now on, and its input; undefined while it does not run. */
  streams(name: string): AttachTarget | undefined {
    return this.running(name) === undefined ? undefined : this.#started.get(name)?.streams;
  }

  /** The pod's status as it is now. */
  status(): PodStatus {
    const node = this.#node;
    const status = computePodStatus({
      pod: this.#pod,
      before: this.#conditions,
      hostIp: node.hostIp,
      hostIps: node.hostIps,
      podIp: this.#sandbox?.podIp ?? '',
      ...(this.#sandbox && { podIps: this.#sandbox.podIps }),
      startTime: this.#startTime,
      now: timestamp(node.clock.nowMs()),
      init: this.#init.map((each) => each.status()),
      main: this.#main.map((each) => each.status()),
      isInitialized: this.#isInitialized,
      isOver: this.#isOver && !this.#isNodeClosing,
      isStopping: this.isStopping,
      ...(this.#failure && this.#isOver ? { failure: this.#failure } : {}),
    });
    this.#conditions = status.conditions ?? [];
    return status;
  }

  async #run(): Promise<void> {
    // Not before the constructor is done.
    await Promise.resolve();
    const { log } = this.#node;
    const { namespace, name } = this.#pod.metadata;
    try {
      this.#report();
      await this.#live();
    } catch (error) {
      if (!this.#ending.signal.aborted) {
        log.error('A pod failed', { pod: `${namespace}/${name}`, error: messageOf(error) });
        this.#failure = { reason: 'RuntimeError', message: messageOf(error) };
      }
    }
    this.#isOver = true;
    this.#report();
    // A pod that ended by itself keeps its status, and its address is given back; it goes when it is deleted.
    await this.#closeSandbox();
    await aborted(this.#stopping.signal);
    await this.#clean();
  }

  async #live(): Promise<void> {
    const { signal } = this.#ending;
    const cancelDeadline = this.#watchDeadline();
    try {
      await this.#openSandbox();
      if (signal.aborted) return;
      await this.#awaitMesh(signal);
      if (signal.aborted) return;
      this.#report();
      await this.#prepareVolumes();
      await this.#runContainers();
    } finally {
      cancelDeadline();
    }
  }

  async #runContainers(): Promise<void> {
    const { signal } = this.#ending;
    const sidecars = new Map<ContainerSupervisor, Promise<void>>();
    // Main containers end first; sidecars serve them to the last.
    const stopOthers = (): void => {
      for (const each of [...this.#init, ...this.#main]) if (!sidecars.has(each)) each.stop(this.#graceMs);
    };
    if (signal.aborted) stopOthers();
    else signal.addEventListener('abort', stopOthers, { once: true });
    try {
      const isInitialized = await this.#initialize(sidecars);
      if (!isInitialized) return;
      this.#isInitialized = true;
      this.#report();
      const runs: Promise<void>[] = [];
      for (const each of this.#main) {
        runs.push(each.run());
        // kubelet starts the next one after that: proxies hold their applications back with it.
        if (each.container.lifecycle?.postStart) await each.firstHook;
      }
      await Promise.all(runs);
    } finally {
      signal.removeEventListener('abort', stopOthers);
      await this.#stopSidecars(sidecars);
    }
  }

  /** In the reverse order of their start, so that what one needs is there while it stops; all in one grace period. */
  async #stopSidecars(sidecars: ReadonlyMap<ContainerSupervisor, Promise<void>>): Promise<void> {
    const { clock } = this.#node;
    const deadlineMs = clock.nowMs() + this.#graceMs;
    for (const [each, ended] of [...sidecars].reverse()) {
      each.stop(Math.max(deadlineMs - clock.nowMs(), 0));
      await ended;
    }
  }

  /** Ends the pod when it was active for too long (`spec.activeDeadlineSeconds`), counted from its first start. */
  #watchDeadline(): () => void {
    const seconds = this.#pod.spec.activeDeadlineSeconds;
    if (seconds === undefined) return () => {};
    const leftMs = Date.parse(this.#startTime) + seconds * 1000 - this.#node.clock.nowMs();
    return this.#node.clock.after(Math.max(leftMs, 0), () => {
      const message = 'Pod was active on the node longer than the specified deadline';
      this.#failure = { reason: 'DeadlineExceeded', message };
      this.#event('Normal', 'DeadlineExceeded', message);
      this.#endContainers(this.#graceMs);
    });
  }

  /** Init containers one after another; those that go on are put into `sidecars`. Resolves to whether all came through. */
  async #initialize(sidecars: Map<ContainerSupervisor, Promise<void>>): Promise<boolean> {
    const { signal } = this.#ending;
    for (const each of this.#init) {
      if (signal.aborted) return false;
      if (each.container.restartPolicy === 'Always') {
        sidecars.set(each, each.run());
        if (!(await this.#orEnding(each.firstStart))) return false;
        continue;
      }
      await each.run();
      if (each.end?.exitCode !== 0) return false;
    }
    return !signal.aborted;
  }

  async #openSandbox(): Promise<void> {
    const backoff = createBackoff({ initialMs: 500, maxMs: 10_000 });
    while (!this.#ending.signal.aborted) {
      try {
        this.#sandbox = await this.#node.gate.run(() => openPodSandbox(this.#pod, this.uid, this.#sandboxOptions()));
        return;
      } catch (error) {
        this.#event('Warning', 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${messageOf(error)}`);
        await sleep(backoff.next(), this.#ending.signal);
      }
    }
  }

  async #awaitMesh(signal: AbortSignal): Promise<void> {
    const { cniRunDir: runDir } = this.#node;
    const sandbox = this.#sandbox;
    if (runDir === undefined || !sandbox) return;
    let told = '';
    const onWait = (reason: string): void => {
      if (reason === told) return;
      told = reason;
      this.#event('Warning', 'FailedCreatePodSandBox', `Failed to create pod sandbox: plugin istio-cni: ${reason}`);
    };
    await awaitMesh({ runDir, pod: this.#pod, uid: this.uid, sandbox, onWait, signal });
  }

  /** What can be mended outside, such as a host path that is not there, is waited for. */
  async #prepareVolumes(): Promise<void> {
    const { signal } = this.#ending;
    const tell = (message: string): void =>
      this.#event('Warning', 'FailedMount', `MountVolume.SetUp failed: ${message}`);
    for (const { name, emptyDir } of this.#pod.spec.volumes ?? []) {
      if (emptyDir?.sizeLimit === undefined) continue;
      const limit = `volume "${name}" may hold ${emptyDir.sizeLimit}, which is not enforced here`;
      this.#event('Normal', 'SizeLimitIgnored', limit);
    }
    const backoff = createBackoff({ initialMs: 500, maxMs: 30_000 });
    for (;;) {
      try {
        return await this.#volumes.prepare(signal, tell);
      } catch (error) {
        signal.throwIfAborted();
        tell(messageOf(error));
        await sleep(backoff.next(), signal);
      }
    }
  }

  async #closeSandbox(): Promise<void> {
    await this.#sandbox?.close();
    this.#tokens.close();
    await this.#volumes.close();
  }

  async #clean(): Promise<void> {
    for (const folder of [this.#memoryFolder, this.#diskFolder]) {
      await rm(folder, { recursive: true, force: true, maxRetries: 2 }).catch((error: unknown) => {
        this.#node.log.warn('Cannot remove a pod folder', { folder, error: messageOf(error) });
      });
    }
  }

  #supervise(container: Container, isInit: boolean): ContainerSupervisor {
    const node = this.#node;
    const isSidecar = isInit && container.restartPolicy === 'Always';
    const podPolicy = this.#pod.spec.restartPolicy ?? 'Always';
    const ofInit = podPolicy === 'Never' ? 'Never' : 'OnFailure';
    const { name } = container;
    const statuses = isInit ? this.#pod.status?.initContainerStatuses : this.#pod.status?.containerStatuses;
    const before = statuses?.find((each) => each.name === name);
    const ranBefore = before?.containerID !== undefined || before?.lastState?.terminated !== undefined;
    const event = (type: 'Normal' | 'Warning', reason: string, message: string): void => {
      this.#event(type, reason, message, `spec.${isInit ? 'initContainers' : 'containers'}{${name}}`);
    };
    const supervisor: ContainerSupervisor = new ContainerSupervisor({
      definition: this.#define(container),
      graceMs: this.#graceMs,
      podUid: this.uid,
      isInit: isInit && !isSidecar,
      restartPolicy: isSidecar ? 'Always' : isInit ? ofInit : podPolicy,
      backoff: this.isSystem ? systemBackoff : podBackoff,
      restartCount: ranBefore ? before.restartCount + 1 : 0,
      clock: node.clock,
      onChange: () => this.#report(),
      onEvent: event,
      endMessage: async (exit) => (await this.#started.get(name)?.endMessage(exit)) ?? '',
      user: (current) => {
        const confinement = confinementOf(this.#pod, current, this.isSystem);
        return confinement.kind === 'confined' ? confinement : { user: 0, group: 0 };
      },
      probeTarget: () => ({
        container: supervisor.container,
        podIp: this.#sandbox?.podIp ?? '127.0.0.1',
        mark: probeMark,
        exec: async (command, timeoutMs) => {
          const running = this.running(name);
          if (!running) throw new Error('the container does not run');
          return execInContainer({ target: running, command, timeoutMs });
        },
      }),
      start: async (attempt) => {
        const sandbox = this.#sandbox;
        const current = supervisor.container;
        const lookup = findContainerCommand(current, node.images);
        if (!sandbox || lookup.kind === 'unknown') throw new Error('A container starts in a sandbox, with a command');
        const fault = userFault(this.#pod, current);
        if (fault !== undefined) throw new AmbitError(fault, { code: 'runtime.config', blame: 'downstream' });
        this.#warnOfPrivileges(current, event);
        event('Normal', 'Pulled', `Container image "${current.image ?? ''}" already present on machine`);
        const started = await startContainer({
          node,
          facts: this.#facts(),
          sandbox,
          volumes: this.#volumes,
          container: current,
          confinement: confinementOf(this.#pod, current, this.isSystem),
          hostPid: this.#hostPid,
          command: lookup.command,
          attempt,
          memoryFolder: join(this.#memoryFolder, 'containers'),
          logFolder: this.logFolder,
        });
        this.#started.set(name, started);
        event('Normal', 'Created', `Created container ${name}`);
        return started.process;
      },
    });
    return supervisor;
  }

  #define(container: Container): ContainerDefinition {
    const lookup = findContainerCommand(container, this.#node.images);
    return { container, imageProblem: lookup.kind === 'unknown' ? lookup.message : undefined };
  }

  /** Says what a container asks for and does not get. */
  #warnOfPrivileges(
    container: Container,
    event: (type: 'Normal' | 'Warning', reason: string, message: string) => void,
  ): void {
    const user = container.securityContext?.runAsUser ?? this.#pod.spec.securityContext?.runAsUser ?? 0;
    if (user !== 0) {
      event(
        'Normal',
        'UserEmulated',
        `Container ${container.name} sees itself as user ${user}; its files belong to the one user that the pods of this machine share`,
      );
    }
    if (this.isSystem) return;
    const { hostPID, hostIPC } = this.#pod.spec;
    const refused = [
      refusedPrivileges(container),
      ...(hostPID ? ['hostPID'] : []),
      ...(hostIPC ? ['hostIPC'] : []),
    ].filter((each) => each !== '');
    if (refused.length === 0) return;
    event(
      'Warning',
      'PrivilegesRefused',
      `Container ${container.name} runs without what it asks for (${refused.join(', ')}): pods of this machine are kept apart, only those of the node's own manifests get more`,
    );
  }

  /** The mesh's own pods are not kept apart from it, so that they have no processes to share. */
  #sandboxOptions(): PodSandboxOptions {
    const { hostIPC = false, shareProcessNamespace = false } = this.#pod.spec;
    return {
      node: this.#node,
      hostIpc: this.isSystem && hostIPC,
      sharesProcesses: !this.isSystem && shareProcessNamespace,
      sharedMemory: join(this.#memoryFolder, 'shm'),
    };
  }

  get #hostPid(): boolean {
    return this.isSystem && (this.#pod.spec.hostPID ?? false);
  }

  #facts(): PodFacts {
    const { hostIp, hostIps, nodeName } = this.#node;
    const { podIp = '', podIps = [] } = this.#sandbox ?? {};
    return { pod: this.#pod, podIp, podIps, hostIp, hostIps, nodeName };
  }

  #report(): void {
    const { namespace = 'default', name = '', uid } = this.#pod.metadata;
    if (uid !== undefined) this.#node.statuses.write({ namespace, name, uid }, this.status());
  }

  #event(type: 'Normal' | 'Warning', reason: string, message: string, fieldPath?: string): void {
    const { namespace, name, uid } = this.#pod.metadata;
    const about: ObjectReference = { apiVersion: 'v1', kind: 'Pod' };
    if (namespace !== undefined) about.namespace = namespace;
    if (name !== undefined) about.name = name;
    if (uid !== undefined) about.uid = uid;
    if (fieldPath !== undefined) about.fieldPath = fieldPath;
    this.#node.events.emit(about, type, reason, message);
  }

  async #orEnding(what: Promise<boolean>): Promise<boolean> {
    return Promise.race([what, aborted(this.#ending.signal).then(() => false)]);
  }

  get #memoryFolder(): string {
    return join(this.#node.memoryFolder, 'pods', this.uid);
  }

  get #diskFolder(): string {
    return join(this.#node.diskFolder, 'pods', this.uid);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
