/**
 * One TCP stream into a pod through `pods/portforward`, over WebSocket (subprotocol v4.channel.k8s.io): channel 0 is
 * data and channel 1 errors, each frame led by its channel's number; the first frame of a channel repeats the port.
 */
import { Duplex } from 'node:stream';
import { AmbitError } from '../lib/errors.ts';
import type { KubeClient } from './client.ts';

export interface PortForwardTarget {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

const dataChannel = 0;
const errorChannel = 1;

/** Opens the stream. It fails with `kube.port-forward` when the pod's side does. The caller destroys it. */
export async function openPortForward(client: KubeClient, target: PortForwardTarget): Promise<Duplex> {
  const { namespace, pod, port } = target;
  const path = `/api/v1/namespaces/${namespace}/pods/${pod}/portforward?ports=${port}`;
  const socket = await client.openWebSocket(path, ['v4.channel.k8s.io']);
  const greeted = new Set<number>();
  const stream = new Duplex({
    read() {
      socket.resume();
    },
    write(chunk: Buffer, _encoding, done) {
      socket.send(Buffer.concat([Buffer.from([dataChannel]), chunk]), done);
    },
    final(done) {
      // The protocol has no half-close: the peer ends the stream when it has answered.
      done();
    },
    destroy(error, done) {
      socket.terminate();
      done(error);
    },
  });
  const fail = (detail: string): void => {
    stream.destroy(
      new AmbitError(`Cannot forward to port ${port} of pod ${namespace}/${pod}: ${detail}`, {
        code: 'kube.port-forward',
        blame: 'upstream',
      }),
    );
  };
  socket.on('message', (message: Buffer | ArrayBuffer | Buffer[]) => {
    const frame = Array.isArray(message) ? Buffer.concat(message) : Buffer.from(message as Buffer);
    const channel = frame[0];
    if (channel === undefined) return;
    if (!greeted.has(channel)) {
      greeted.add(channel);
      return;
    }
    if (frame.length < 2) return;
    if (channel === dataChannel && !stream.push(frame.subarray(1))) socket.pause();
    if (channel === errorChannel) fail(frame.subarray(1).toString());
  });
  socket.on('close', () => stream.push(null));
  socket.on('error', (error: Error) => fail(error.message));
  return stream;
}
