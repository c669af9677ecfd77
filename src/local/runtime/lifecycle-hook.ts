/** A container's postStart or preStop: a command, a request, or a sleep. */
import type { LifecycleHandler } from '../../api/index.ts';
import { sleep } from '../../lib/clock.ts';
import { checkProbe, type ProbeTarget } from './probe-check.ts';

/** kubelet sets no limit to a postStart; these keep a server that never answers, and a forgotten command, from being waited for. */
const postStartRequestMs = 30_000;
const postStartCommandMs = 24 * 3_600_000;

export interface LifecycleHookOptions {
  readonly hook: LifecycleHandler;
  readonly target: ProbeTarget;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Throws what the hook failed with. */
export async function runLifecycleHook({ hook, target, timeoutMs, signal }: LifecycleHookOptions): Promise<void> {
  if (hook.sleep) return sleep(Math.min(hook.sleep.seconds * 1000, timeoutMs), signal);
  const outcome = await checkProbe({ ...hook, timeoutSeconds: timeoutMs / 1000 }, target);
  if (!outcome.ok) throw new Error(outcome.message);
}

export function postStartTimeoutMs(hook: LifecycleHandler): number {
  return hook.httpGet ? postStartRequestMs : postStartCommandMs;
}
