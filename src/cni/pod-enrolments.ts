/** The enrolments of a node's pods: one for each pod that is in the mesh, or on its way in or out. */
import type { Pod } from '../api/index.ts';
import type { EnrolmentContext, Goal } from './enrolment-context.ts';
import { redirectionOf } from './enrolment.ts';
import { PodEnrolment } from './pod-enrolment.ts';

export interface PodEnrolmentsOptions {
  /** Of all of them. */
  readonly context: EnrolmentContext;
  readonly goalOf: (pod: Pod) => Goal;
  /** The pod of this name as the API has it now. */
  readonly latest: (namespace: string, name: string) => Pod | undefined;
  /** What else is known of a pod that is or should be in the mesh may be of another state now. */
  readonly onConsidered: (enrolment: PodEnrolment) => void;
  /** Nothing of the pod is left here. */
  readonly onEnd: (uid: string) => void;
}

export class PodEnrolments {
  readonly #options: PodEnrolmentsOptions;
  readonly #enrolments = new Map<string, PodEnrolment>();
  readonly #running = new Set<Promise<void>>();

  constructor(options: PodEnrolmentsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#enrolments.size;
  }

  uids(): string[] {
    return [...this.#enrolments.keys()];
  }

  all(): Iterable<PodEnrolment> {
    return this.#enrolments.values();
  }

  get(uid: string | undefined): PodEnrolment | undefined {
    return this.#enrolments.get(uid ?? '');
  }

  /** Sets the pod's goal, and takes it on if it has none yet. */
  consider(pod: Pod): void {
    const goal = this.#options.goalOf(pod);
    const existing = this.get(pod.metadata.uid);
    if (existing) {
      existing.update(pod, goal);
      if (goal === 'in') this.#options.onConsidered(existing);
      return;
    }
    // Its address may not be known yet: from the moment that its namespace appears it should not be open to anybody. One that is
    // about to end is taken on only where an earlier agent did: ztunnel would drop it, with its connections.
    const isNew = pod.metadata.deletionTimestamp === undefined;
    if (goal === 'in' && (isNew || redirectionOf(pod) !== undefined)) this.#start(pod, 'in', false);
    if (goal === 'out' && redirectionOf(pod) !== undefined && pod.spec.hostNetwork !== true)
      this.#start(pod, 'out', true);
  }

  /** Takes a pod into the mesh that nobody may have heard of yet. */
  take(pod: Pod): PodEnrolment {
    return this.get(pod.metadata.uid) ?? this.#start(pod, 'in', false);
  }

  /** Takes a pod out of the mesh that still has rules of an earlier agent. */
  release(pod: Pod): void {
    this.#start(pod, 'out', true);
  }

  /** The pod was deleted. */
  end(pod: Pod): void {
    this.get(pod.metadata.uid)?.update(pod, 'gone');
  }

  /** Brings the rules of all pods up to date at once, as far as that works. */
  async refreshRules(): Promise<void> {
    await Promise.all([...this.all()].map((each) => each.refreshRules().catch(() => {})));
  }

  wakeAll(): void {
    for (const enrolment of this.all()) enrolment.wake();
  }

  /** Resolves when none is at work; those that are stay as they are after the context's signal aborts. */
  async ended(): Promise<void> {
    await Promise.all(this.#running);
  }

  #start(pod: Pod, goal: Goal, marked: boolean): PodEnrolment {
    const { context, latest, onEnd } = this.#options;
    const enrolment = new PodEnrolment(pod, goal, marked, context);
    const { uid } = enrolment;
    this.#enrolments.set(uid, enrolment);
    const running = enrolment.run().finally(() => {
      this.#running.delete(running);
      this.#enrolments.delete(uid);
      onEnd(uid);
      // It may have been asked back in its very last step.
      const { namespace = '', name = '' } = enrolment.pod.metadata;
      const now = latest(namespace, name);
      if (now?.metadata.uid === uid && !context.signal.aborted) this.consider(now);
    });
    this.#running.add(running);
    return enrolment;
  }
}
