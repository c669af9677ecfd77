/** A byte channel as a Node stream, for what only speaks streams: TLS inside of a tunnel. */
import { Duplex } from 'node:stream';
import { writeResult, type ByteChannel } from './channel.ts';
import { atTurnEnd } from './turn.ts';

/** Takes over `channel`: nobody has read from it yet, and the caller no longer touches it. A destroyed stream resets the channel. */
export function channelDuplex(channel: ByteChannel): Duplex {
  let uncredited = 0;
  let paused = false;
  let onDrained: (() => void) | undefined;
  /**
   * What arrived in this turn. It is passed on at its end, never from inside `onData`: what decrypts it reads into the same shared
   * memory that the channel below may still be in the middle of.
   */
  let arrived: Uint8Array[] = [];
  let due = false;
  let peerEnded = false;
  let over = false;
  const duplex = new Duplex({
    allowHalfOpen: true,
    // Once both sides ended, TLS may still have bytes for a reader that pauses: it destroys this stream when they are read, while a
    // stream that closes by itself would take them along.
    autoDestroy: false,
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
  const delivery = {
    onTurnEnd() {
      due = false;
      const pieces = arrived;
      arrived = [];
      let more = true;
      for (const piece of pieces) {
        more = duplex.push(piece);
        uncredited += piece.length;
      }
      if (peerEnded) duplex.push(null);
      else if (more) {
        channel.credit(uncredited);
        uncredited = 0;
      } else if (!paused) {
        paused = true;
        channel.pause();
      }
    },
  };
  const deliverLater = (): void => {
    if (due) return;
    due = true;
    atTurnEnd(delivery);
  };
  channel.read({
    neverKeeps: true,
    onData(bytes) {
      arrived.push(Buffer.from(bytes));
      deliverLater();
      return false;
    },
    onEnd() {
      peerEnded = true;
      deliverLater();
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
