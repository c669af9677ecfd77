/** The data parts as the control part uses them: questions with answers, over messages. */
import { AmbitError } from '../../lib/errors.ts';
import type { ExpositionFormat } from '../../telemetry/index.ts';
import type { ControlMessage, DataMessage, DataPart, DataReport, PodToServe } from '../messages.ts';
import { duplicateTarget } from '../pod-descriptors.ts';

type Start = (post: (message: DataMessage) => void) => DataPart;

export class DataParts {
  readonly #parts: DataPart[];
  readonly #waiting = new Map<number, (message: DataMessage) => void>();
  readonly #drainWaiters: (() => void)[] = [];
  readonly #onCertificateWanted: (message: Extract<DataMessage, { kind: 'certificate-wanted' }>) => void;
  #nextRequest = 1;

  constructor(
    starts: readonly Start[],
    onCertificateWanted: (message: Extract<DataMessage, { kind: 'certificate-wanted' }>) => void,
  ) {
    this.#onCertificateWanted = onCertificateWanted;
    this.#parts = starts.map((start) => start((message) => this.#receive(message)));
  }

  broadcast(message: ControlMessage): void {
    for (const part of this.#parts) part.post(message);
  }

  /** Takes the target's descriptors; each part gets its own. Rejects when one of them cannot serve the pod. */
  async serve(target: PodToServe): Promise<void> {
    const targets = this.#parts.map((_, i) => (i === 0 ? target : duplicateTarget(target)));
    const answers = await Promise.all(
      this.#parts.map((part, i) =>
        this.#ask(part, (requestId) => ({ kind: 'serve-pod', requestId, target: targets[i] ?? target })),
      ),
    );
    const failed = answers.find((answer) => answer.kind === 'pod-failed');
    if (failed) throw new AmbitError(failed.error, { code: 'ztunnel.pod-failed', blame: 'internal' });
  }

  async report(metrics?: ExpositionFormat): Promise<DataReport[]> {
    const answers = await Promise.all(
      this.#parts.map((part) =>
        this.#ask(part, (requestId) => ({ kind: 'report-wanted', requestId, ...(metrics ? { metrics } : {}) })),
      ),
    );
    return answers.flatMap((answer) => (answer.kind === 'report' ? [answer.report] : []));
  }

  async drain(deadlineMs: number): Promise<void> {
    const drained = this.#parts.map(() => new Promise<void>((resolve) => this.#drainWaiters.push(resolve)));
    this.broadcast({ kind: 'drain', deadlineMs });
    await Promise.all(drained);
  }

  #ask(part: DataPart, make: (requestId: number) => ControlMessage): Promise<DataMessage> {
    return new Promise((resolve) => {
      const requestId = this.#nextRequest++;
      this.#waiting.set(requestId, resolve);
      part.post(make(requestId));
    });
  }

  #receive(message: DataMessage): void {
    switch (message.kind) {
      case 'certificate-wanted':
        return this.#onCertificateWanted(message);
      case 'drained':
        return this.#drainWaiters.shift()?.();
      case 'pod-served':
      case 'pod-failed':
      case 'report':
        this.#waiting.get(message.requestId)?.(message);
        this.#waiting.delete(message.requestId);
    }
  }
}
