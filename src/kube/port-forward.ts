/** One TCP stream into a pod through `pods/portforward`: tunnelled SPDY as kubectl speaks it, else WebSocket channels. */
import type { Duplex } from 'node:stream';
import { AmbitError } from '../lib/errors.ts';
import { channelProtocol, openChannelForward } from './channel-forward.ts';
import type { KubeClient } from './client.ts';
import { openForwardedStream, openWebSocketTunnel, tunnelProtocol } from './spdy/index.ts';

export interface PortForwardTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

/**
 * Opens the stream. It fails with `kube.port-forward` when the pod's side does. Its writable end is the pod's end of reading, where the
 * server has tunnels (Kubernetes from 1.30). The caller destroys it.
 */
export async function openPortForward(client: KubeClient, target: PortForwardTarget): Promise<Duplex> {
  const { namespace, pod, port } = target;
  const path = `/api/v1/namespaces/${namespace}/pods/${pod}/portforward?ports=${port}`;
  const socket = await client.openWebSocket(path, [tunnelProtocol, channelProtocol]);
  const failure = (detail: string): AmbitError =>
    new AmbitError(`Cannot forward to port ${port} of pod ${namespace}/${pod}: ${detail}`, {
      code: 'kube.port-forward',
      blame: 'upstream',
    });
  if (socket.protocol === channelProtocol) return openChannelForward(socket, failure);
  return openForwardedStream({ transport: openWebSocketTunnel(socket), port, failure });
}
