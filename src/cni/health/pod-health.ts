/** Looks after what enrolment may break for a pod: its probes, its NetworkPolicies, its annotations; and tells, or helps. */
import type { Pod } from '../../api/index.ts';
import type { EventRecorder } from '../../kube/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { isTerminal } from '../enrolment.ts';
import { readCaptureSettings } from '../rules/capture-settings.ts';
import { closeConnections, EarlierConnections } from './earlier-connections.ts';
import { blockedMeshTraffic, type NetworkPolicy } from './network-policy.ts';
import { PodConditions, type PodConditionsOptions, type PodProblem, type ProblemType } from './pod-conditions.ts';
import { addressTowards, probePorts, testProbePath, type ProbePath } from './probe-path.ts';

/** A pod as enrolment has it. */
export interface HealthSubject {
  readonly uid: string;
  readonly pod: Pod;
  readonly ips: readonly string[];
  readonly enrolled: boolean;
  readonly netns: number | undefined;
}

/** Where a pod's probes come from when the node does not translate them. */
export interface ProbesFrom {
  readonly ips: readonly string[];
  readonly ports: readonly number[];
}

export interface PodHealthOptions {
  readonly client: PodConditionsOptions['client'];
  readonly events: Pick<EventRecorder, 'emit'>;
  readonly log: PodConditionsOptions['log'];
  readonly policies: () => Iterable<NetworkPolicy>;
  readonly subjects: () => Iterable<HealthSubject>;
  /** The pod's rules should be written again. */
  readonly onChange: (uid: string) => void;
  readonly countProbe: (result: ProbePath['kind']) => void;
  readonly test?: typeof testProbePath;
}

interface ProbeState {
  /** What was tested: addresses and ports. */
  key: string;
  state: 'waiting' | 'testing' | 'open' | 'blocked';
  tries: number;
  nextAtMs: number;
  fallback: ProbesFrom | undefined;
}

const closeAnnotation = 'ambit.io/close-earlier-connections';
const earlierIntervalMs = 5000;
const concurrentTests = 4;
const blockedRetryMs = 30_000;
const maxPauseMs = 30_000;

export class PodHealth {
  readonly #options: PodHealthOptions;
  readonly #conditions: PodConditions;
  readonly #probes = new Map<string, ProbeState>();
  readonly #earlier = new EarlierConnections();
  #earlierAtMs = 0;
  #testing = 0;

  constructor(options: PodHealthOptions) {
    this.#options = options;
    this.#conditions = new PodConditions({
      client: options.client,
      now: () => new Date(),
      onProblem: (pod, type, problem) => this.#tell(pod, 'Warning', problem),
      log: options.log,
    });
  }

  /** Tests under way. */
  get testing(): number {
    return this.#testing;
  }

  /** Where probes of the pod come from, when they cannot have an address of their own. */
  probesFrom(uid: string): ProbesFrom | undefined {
    return this.#probes.get(uid)?.fallback;
  }

  /** The node cannot translate addresses at all. */
  async exemptNodeProbes(pod: Pod, ips: readonly string[]): Promise<void> {
    const state = this.#probeState(pod.metadata.uid ?? '');
    state.fallback ??= await nodeProbes(pod, ips);
  }

  /** The pod, or something about it, changed. */
  consider(subject: HealthSubject): void {
    const { pod } = subject;
    const { problems } = readCaptureSettings(pod);
    const set = (type: ProblemType, reason: string, sentences: readonly string[]): void =>
      this.#conditions.set(pod, type, sentences.length === 0 ? undefined : { reason, message: sentences.join('; ') });
    set('ambit.io/InvalidCaptureSettings', 'InvalidAnnotation', problems);
    const blocked = subject.enrolled && !isTerminal(pod) ? blockedMeshTraffic(pod, [...this.#options.policies()]) : [];
    set('ambit.io/NetworkPolicyBlocksMesh', 'TunnelPortLeftOut', blocked);
  }

  /** The mesh is about to capture the pod: connections that it has are older. */
  captures(uid: string, netns: number, ips: readonly string[]): void {
    this.#earlier.note(uid, netns, ips);
  }

  /** Tests the probes of those whose turn it is, and counts what is older than the mesh. Called often. */
  tick(nowMs: number): void {
    if (nowMs - this.#earlierAtMs >= earlierIntervalMs) {
      this.#earlierAtMs = nowMs;
      for (const subject of this.#options.subjects()) this.#lookAtEarlier(subject);
    }
    for (const subject of this.#options.subjects()) {
      if (this.#testing >= concurrentTests) return;
      this.#maybeTest(subject, nowMs);
    }
  }

  /** The pod left the mesh: nothing about it is wrong any more. */
  release(pod: Pod): void {
    for (const type of [
      'ambit.io/NetworkPolicyBlocksMesh',
      'ambit.io/ProbesBlocked',
      'ambit.io/ConnectionsBeforeMesh',
    ] as const)
      this.#conditions.set(pod, type, undefined);
    this.#probes.delete(pod.metadata.uid ?? '');
    this.#earlier.forget(pod.metadata.uid ?? '');
  }

  forget(uid: string): void {
    this.#conditions.forget(uid);
    this.#probes.delete(uid);
    this.#earlier.forget(uid);
  }

  #lookAtEarlier({ uid, pod, ips, netns, enrolled }: HealthSubject): void {
    if (!enrolled || netns === undefined) return;
    const living = this.#earlier.living(uid, netns, ips);
    const asked = pod.metadata.annotations?.[closeAnnotation] === 'true';
    const count = living.length === 1 ? '1 connection is' : `${living.length} connections are`;
    this.#conditions.set(
      pod,
      'ambit.io/ConnectionsBeforeMesh',
      living.length === 0
        ? undefined
        : {
            reason: 'OlderThanCapture',
            message: `${count} older than the pod's place in the mesh, and without identity and policy. They go on until they end; to end them now, set the annotation ${closeAnnotation}: "true"`,
          },
    );
    if (!asked || living.length === 0) return;
    closeConnections(netns, living).catch((error: unknown) =>
      this.#options.log.warn('cannot end connections that are older than the mesh', { error: messageOf(error) }),
    );
  }

  #maybeTest(subject: HealthSubject, nowMs: number): void {
    const { uid, pod, ips, netns } = subject;
    if (!subject.enrolled || netns === undefined || ips.length === 0 || !isRunning(pod)) return;
    const ports = probePorts(pod);
    if (ports.length === 0) return;
    const state = this.#probeState(uid);
    const key = `${ips.join()} ${ports.join()}`;
    if (state.key !== key) Object.assign(state, { key, state: 'waiting', tries: 0, nextAtMs: nowMs });
    if (state.state === 'testing' || state.state === 'open' || nowMs < state.nextAtMs) return;
    state.state = 'testing';
    this.#testing++;
    void this.#test(subject, ports, state)
      .then((next) => {
        state.state = next;
        state.tries++;
        const pauseMs =
          next === 'blocked' ? blockedRetryMs : Math.min(1000 * 2 ** Math.min(state.tries, 5), maxPauseMs);
        state.nextAtMs = nowMs + pauseMs;
      })
      .finally(() => this.#testing--);
  }

  /** One address of each family, on the first port that somebody listens on. */
  async #test(
    subject: HealthSubject,
    ports: readonly number[],
    state: ProbeState,
  ): Promise<'waiting' | 'open' | 'blocked'> {
    const { uid, pod, ips } = subject;
    const { onChange, test = testProbePath, countProbe, log } = this.#options;
    let result: ProbePath = { kind: 'unknown' };
    for (const ip of ips) {
      let found: ProbePath = { kind: 'unknown' };
      for (const port of ports) {
        const { netns } = subject;
        if (netns === undefined) return 'waiting';
        found = await test({ netns, ip, port });
        if (found.kind !== 'unknown') break;
      }
      // Applications may listen in one family alone.
      if (found.kind !== 'unknown') result = found;
      if (found.kind === 'captured' || found.kind === 'lost') break;
    }
    if (result.kind === 'unknown') return 'waiting';
    countProbe(result.kind);
    if (result.kind === 'open') {
      this.#conditions.set(pod, 'ambit.io/ProbesBlocked', undefined);
      return 'open';
    }
    log.warn('probes of the node do not reach a pod', {
      pod: pod.metadata.name,
      namespace: pod.metadata.namespace,
      result: result.kind,
    });
    if (!state.fallback) {
      state.fallback = await nodeProbes(pod, ips);
      if (state.fallback) {
        this.#tell(pod, 'Normal', {
          reason: 'ProbesExempted',
          message: `${describe[result.kind]}. Connections of the node (${state.fallback.ips.join(', ')}) to the probed ports ${state.fallback.ports.join(', ')} are now left out of the mesh instead`,
        });
        onChange(uid);
        return 'waiting';
      }
    }
    this.#conditions.set(pod, 'ambit.io/ProbesBlocked', {
      reason: result.kind === 'lost' ? 'NoAnswer' : 'Captured',
      message: `${describe[result.kind]}, also when its own address is exempted. Probe by exec, or have the network plugin let the node reach its pods`,
    });
    return 'blocked';
  }

  #probeState(uid: string): ProbeState {
    const state = this.#probes.get(uid) ?? {
      key: '',
      state: 'waiting' as const,
      tries: 0,
      nextAtMs: 0,
      fallback: undefined,
    };
    this.#probes.set(uid, state);
    return state;
  }

  #tell(pod: Pod, type: 'Normal' | 'Warning', { reason, message }: PodProblem): void {
    this.#options.events.emit(podReference(pod), type, reason, message);
  }
}

const describe: Readonly<Record<'captured' | 'lost', string>> = {
  captured:
    'Probes from the node are captured: its address is not translated on the way (a network plugin that bypasses netfilter does so)',
  lost: 'Probes from the node get no answer: packets from the address that stands for it are dropped (by rp_filter, or a network plugin)',
};

/** For the Event about a pod. */
export function podReference({ metadata }: Pod): Parameters<EventRecorder['emit']>[0] {
  const { name, namespace, uid } = metadata;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    ...(name === undefined ? {} : { name }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
  };
}

async function nodeProbes(pod: Pod, ips: readonly string[]): Promise<ProbesFrom | undefined> {
  const ports = probePorts(pod);
  const own = (await Promise.all(ips.map((ip) => addressTowards(ip)))).filter((ip) => ip !== undefined);
  return own.length === 0 || ports.length === 0 ? undefined : { ips: [...new Set(own)], ports };
}

function isRunning(pod: Pod): boolean {
  return (pod.status?.containerStatuses ?? []).some(({ state }) => state?.running !== undefined);
}
