/** What becomes known of the steps of enrolment: counted, and told by Events about the pod where its owner should know. */
import type { Pod } from '../api/index.ts';
import type { EventRecorder } from '../kube/index.ts';
import type { AgentMetrics } from './agent-metrics.ts';
import type { EnrolmentStep } from './enrolment-context.ts';
import { redirectionOf } from './enrolment.ts';
import { podReference } from './health/pod-health.ts';

export interface StepReportOptions {
  readonly metrics: Pick<AgentMetrics, 'step' | 'repaired'>;
  readonly events: Pick<EventRecorder, 'emit'>;
}

export class StepReport {
  readonly #options: StepReportOptions;
  /** Pods that ran before anybody could enrol them. */
  readonly #late = new Set<string>();

  constructor(options: StepReportOptions) {
    this.#options = options;
  }

  /** Of a pod that should be in the mesh as the agent starts. */
  noteFound(pod: Pod): void {
    if (isRunningOutside(pod)) this.#late.add(pod.metadata.uid ?? '');
  }

  forget(uid: string): void {
    this.#late.delete(uid);
  }

  tell(step: EnrolmentStep, pod: Pod): void {
    const { metrics, events } = this.#options;
    const { uid = '' } = pod.metadata;
    metrics.step(step);
    if (step === 'enrolled' && this.#late.delete(uid)) {
      metrics.repaired('success');
      events.emit(
        podReference(pod),
        'Warning',
        'EnrolledLate',
        'The pod ran outside the mesh until now: it was started while the node agent was not there. Connections that it has since then stay as they are; restart it to be sure',
      );
    } else if (step === 'failed' && this.#late.has(uid)) {
      metrics.repaired('failure');
    } else if (step === 'rules-repaired') {
      events.emit(
        podReference(pod),
        'Warning',
        'RulesRepaired',
        'Somebody changed the packet rules of the mesh in the network namespace of the pod; they were put back',
      );
    }
  }
}

/** It has run, and no agent took it in. */
function isRunningOutside(pod: Pod): boolean {
  const started = (pod.status?.containerStatuses ?? []).some(({ state }) => state?.running !== undefined);
  return started && redirectionOf(pod) === undefined;
}
