/** How many connections a pod, and a data part, may have at once: beyond, new ones are refused and the others live on. */
import { AmbitError } from '../../lib/errors.ts';
import type { PodContext } from './data-context.ts';

/** A connection takes at most two descriptors: its own and its peer's. */
const descriptorsPerConnection = 2;

/** Listeners, tunnels, certificates, logs: what is left for all that is no connection. */
const reservedShare = 0.25;

/** Of what is reserved, and some 50 KB each: connections to peers that are kept for the next tunnel. */
const idleShare = 0.1;
const maxIdleTunnels = 4096;

/** Limits for one of `workers` data parts of a process that may open `descriptors`. */
export function connectionLimits(
  descriptors: number,
  workers: number,
): { readonly maxConnections: number; readonly maxPodConnections: number; readonly maxIdleTunnels: number } {
  const maxConnections = Math.max(
    Math.floor((descriptors * (1 - reservedShare)) / descriptorsPerConnection / workers),
    64,
  );
  // One pod cannot take what the others of its node need.
  const idle = Math.min(descriptors * idleShare, maxIdleTunnels);
  return {
    maxConnections,
    maxPodConnections: Math.ceil(maxConnections / 2),
    maxIdleTunnels: Math.max(Math.floor(idle / workers), 16),
  };
}

/** Why a connection that was just opened, and counts already, cannot be served. */
export function overLimit({ connections, target, limits }: PodContext): AmbitError | undefined {
  if (connections.size > limits.maxConnections) {
    return overloaded(`this ztunnel has ${limits.maxConnections} connections, which is its limit`);
  }
  if (connections.countOfPod(target.pod.uid) > limits.maxPodConnections) {
    return overloaded(
      `pod ${target.pod.namespace}/${target.pod.name} has ${limits.maxPodConnections} connections, which is its limit`,
    );
  }
  return undefined;
}

export function overloaded(reason: string): AmbitError {
  return new AmbitError(`Cannot take connection: ${reason}`, { code: 'ztunnel.overloaded', blame: 'internal' });
}
