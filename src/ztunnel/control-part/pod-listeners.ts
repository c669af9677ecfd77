/** The listening sockets of a pod, opened inside its network namespace and held for as long as the pod is served. */
import { closeDescriptor, openListenSocket } from '../../net/index.ts';
import type { PodListeners } from '../messages.ts';
import { hbonePort, outboundPort, plaintextPort, proxyMark } from '../ports.ts';

/** TCP ports by the name of their listener. */
const portOf = { hbone: hbonePort, plaintext: plaintextPort, outbound: outboundPort } as const;

/** Opens them all or none; the caller owns the descriptors. Throws `net.*`. */
export function openPodListeners(netns: number): PodListeners {
  const opened: Partial<Record<keyof typeof portOf, number>> = {};
  try {
    for (const [name, port] of Object.entries(portOf) as [keyof typeof portOf, number][]) {
      opened[name] = openListenSocket({
        netns,
        host: '::',
        port,
        mark: proxyMark,
        transparent: true,
        // A ztunnel that cannot be handed ours listens here beside us before we stop to.
        reusePort: true,
      });
    }
    return opened as PodListeners;
  } catch (error) {
    for (const fd of Object.values(opened)) closeDescriptor(fd);
    throw error;
  }
}
