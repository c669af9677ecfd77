/**
 * The client's end of one forwarded connection over WebSocket channels (v4.channel.k8s.io): channel 0 is data and channel 1 errors,
 * each frame led by its channel's number; the first frame of a channel repeats the port.
 */
import { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { systemClock } from '../lib/clock.ts';

export const channelProtocol = 'v4.channel.k8s.io';

const dataChannel = 0;
const errorChannel = 1;
/** How long a pod may be silent after our end, while we listen. */
const lingerMs = 10_000;

/**
 * The protocol cannot say that we have ended: the pod may go on answering, and is left when it falls silent. `failure` makes what the
 * stream is destroyed with when the pod's side cannot go on.
 */
export function openChannelForward(socket: WebSocket, failure: (detail: string) => Error): Duplex {
  const greeted = new Set<number>();
  let hasEnded = false;
  let peerEnded = false;
  let cancelLinger = (): void => {};
  const linger = (): void => {
    cancelLinger();
    if (hasEnded && !stream.destroyed) cancelLinger = systemClock.after(lingerMs, onSilence);
  };
  const onSilence = (): void => {
    // It may have more to say than our reader takes.
    if (socket.isPaused) linger();
    else end();
  };
  const end = (): void => {
    if (peerEnded) return;
    peerEnded = true;
    stream.push(null);
  };
  const stream = new Duplex({
    read() {
      socket.resume();
    },
    write(chunk: Buffer, _encoding, done) {
      socket.send(Buffer.concat([Buffer.from([dataChannel]), chunk]), done);
    },
    final(done) {
      hasEnded = true;
      linger();
      done();
    },
    destroy(error, done) {
      cancelLinger();
      socket.terminate();
      done(error);
    },
  });
  socket.on('message', (message: Buffer | ArrayBuffer | Buffer[]) => {
    const frame = Array.isArray(message) ? Buffer.concat(message) : Buffer.from(message as Buffer);
    const channel = frame[0];
    if (channel === undefined || peerEnded) return;
    if (!greeted.has(channel)) {
      greeted.add(channel);
      return;
    }
    if (frame.length < 2) return;
    linger();
    if (channel === dataChannel && !stream.push(frame.subarray(1))) socket.pause();
    if (channel === errorChannel) stream.destroy(failure(frame.subarray(1).toString()));
  });
  socket.on('close', end);
  socket.on('error', (error: Error) => stream.destroy(failure(error.message)));
  return stream;
}
