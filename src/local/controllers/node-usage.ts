/** What pods use now, from the cumulative times that their nodes tell: for autoscalers, as a metrics server is. */
import type { Pod } from '../../api/index.ts';
import type { Clock } from '../../lib/clock.ts';
import type { PodUsage } from './autoscale-plan.ts';
import type { ReadUsage } from './autoscaler.ts';

/** A node's `/stats/summary`, as kubelet has it; of it what is read here. */
export interface NodeSummary {
  readonly pods: readonly {
    readonly podRef: { readonly uid: string };
    readonly cpu: { readonly time: string; readonly usageCoreNanoSeconds: number };
    readonly memory: { readonly workingSetBytes: number };
  }[];
}

/** Autoscalers that look at once share one reading: shorter spans say little. */
const minSpanMs = 5000;

interface Reading {
  readonly atMs: number;
  readonly coreNanoSeconds: number;
  readonly memoryBytes: number;
  /** Absent on the first. */
  readonly cores?: number;
}

/** `summaries` asks every node, and leaves out those that do not answer. */
export function createUsageReader(summaries: () => Promise<readonly NodeSummary[]>, clock: Clock): ReadUsage {
  let readings = new Map<string, Reading>();
  let takenMs = -Infinity;
  let taking: Promise<void> | undefined;
  const take = async (): Promise<void> => {
    const all = await summaries();
    takenMs = clock.nowMs();
    const next = new Map<string, Reading>();
    for (const { podRef, cpu, memory } of all.flatMap(({ pods }) => pods)) {
      const before = readings.get(podRef.uid);
      const atMs = Date.parse(cpu.time);
      const coreNanoSeconds = cpu.usageCoreNanoSeconds;
      const spanMs = before ? atMs - before.atMs : 0;
      // A node that started again counts from nothing.
      const used = before ? coreNanoSeconds - before.coreNanoSeconds : -1;
      const cores = spanMs > 0 && used >= 0 ? used / 1e6 / spanMs : undefined;
      const memoryBytes = memory.workingSetBytes;
      next.set(podRef.uid, { atMs, coreNanoSeconds, memoryBytes, ...(cores === undefined ? {} : { cores }) });
    }
    readings = next;
  };
  return async () => {
    if (clock.nowMs() - takenMs >= minSpanMs) {
      taking ??= take().finally(() => (taking = undefined));
      await taking;
    }
    const usage: PodUsage = ({ metadata }: Pod, resource) => {
      const reading = readings.get(metadata.uid ?? '');
      if (resource === 'cpu') return reading?.cores;
      return resource === 'memory' ? reading?.memoryBytes : undefined;
    };
    return usage;
  };
}
