/** A byte channel as a Node stream, for what only speaks streams: TLS inside of a tunnel. */
import { Duplex } from 'node:stream';
import { writeResult, type ByteChannel } from './channel.ts';

/** Takes over `channel`: nobody has read from it yet, and the caller no longer touches it. A destroyed stream resets the channel. */
export function channelDuplex(channel: ByteChannel): Duplex {
  let uncredited = 0;
  let paused = false;
  let onDrained: (() => void) | undefined;
  let peerEnded = false;
  let over = false;
  const duplex = new Duplex({
    allowHalfOpen: true,
    read() {
      if (uncredited > 0) channel.credit(uncredited);
      uncredited = 0;
      if (!paused) return;
      paused = false;
      channel.resume();
    },
    write(chunk: Buffer, _encoding, done) {
      // `kept` and `full` alike: the chunk is the stream's, and nobody touches it until `done`.
      if (channel.write(chunk) === writeResult.done) done();
      else onDrained = done;
    },
    final(done) {
      channel.end();
      done();
    },
    destroy(error, done) {
      // After both ends the channel closes by itself, once what was written is delivered.
      if (!over && (error || !peerEnded || !duplex.writableFinished)) channel.reset(error ?? undefined);
      done(error);
    },
  });
  channel.read({
    neverKeeps: true,
    onData(bytes) {
      const more = duplex.push(Buffer.from(bytes));
      if (more) {
        channel.credit(bytes.length);
        return false;
      }
      uncredited += bytes.length;
      if (!paused) channel.pause();
      paused = true;
      return false;
    },
    onEnd() {
      peerEnded = true;
      duplex.push(null);
    },
    onDrain() {
      const done = onDrained;
      onDrained = undefined;
      done?.();
    },
    onClose(error) {
      over = true;
      onDrained?.();
      onDrained = undefined;
      if (error) duplex.destroy(error);
    },
  });
  return duplex;
}
