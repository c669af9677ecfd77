/** One pod on this node, from its sandbox to its end. Everything in it happens in one order; nothing of it throws. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContainerStatus, CoreCondition, ObjectReference, Pod, PodStatus } from '../../api/index.ts';
import { createBackoff } from '../../lib/backoff.ts';
import { sleep } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import { confinementOf, isSystemPod, type ContainerTarget } from './confinement.ts';
import type { StartedContainer } from './container-start.ts';
import { aborted, runContainers } from './container-sequence.ts';
import { timestamp } from './container-status.ts';
import type { ContainerSupervisor } from './container-supervisor.ts';
import type { PodFacts } from './field-path.ts';
import { awaitMesh } from './mesh-admission.ts';
import type { NodeContext } from './node-context.ts';
import { defineContainer, superviseContainer, type ContainerHost } from './pod-container.ts';
import { openPodSandbox, type PodSandbox, type PodSandboxOptions } from './pod-sandbox.ts';
import { computePodStatus } from './pod-status.ts';
import { PodTokens } from './pod-tokens.ts';
import { PodVolumes } from './pod-volumes.ts';
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
    const host = this.#containerHost();
    this.#init = (pod.spec.initContainers ?? []).map((container) => superviseContainer(container, true, host));
    this.#main = pod.spec.containers.map((container) => superviseContainer(container, false, host));
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
      supervisor.change(defineContainer(container, this.#node.images));
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
      await runContainers({
        init: this.#init,
        main: this.#main,
        onInitialized: () => {
          this.#isInitialized = true;
          this.#report();
        },
        graceMs: () => this.#graceMs,
        clock: this.#node.clock,
        signal,
      });
    } finally {
      cancelDeadline();
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

  #containerHost(): ContainerHost {
    return {
      node: this.#node,
      uid: this.uid,
      isSystem: this.isSystem,
      graceMs: this.#graceMs,
      memoryFolder: this.#memoryFolder,
      logFolder: this.logFolder,
      volumes: this.#volumes,
      pod: () => this.#pod,
      sandbox: () => this.#sandbox,
      facts: () => this.#facts(),
      hostPid: () => this.#hostPid,
      started: (name) => this.#started.get(name),
      onStarted: (name, started) => this.#started.set(name, started),
      running: (name) => this.running(name),
      onChange: () => this.#report(),
      onEvent: (type, reason, message, fieldPath) => this.#event(type, reason, message, fieldPath),
    };
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

  get #memoryFolder(): string {
    return join(this.#node.memoryFolder, 'pods', this.uid);
  }

  get #diskFolder(): string {
    return join(this.#node.diskFolder, 'pods', this.uid);
  }
}
