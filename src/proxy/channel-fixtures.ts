/** What tests of byte connections need on channels in memory. */
import type { ByteChannel } from '../net/index.ts';

/** Channels hand on at the ends of turns. */
export const turns = async (): Promise<void> => {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => void setImmediate(resolve));
};

/** Reads what comes; tells when the channel is over. */
export function read(channel: ByteChannel): { text: string; readonly closed: Promise<Error | undefined> } {
  const closed = Promise.withResolvers<Error | undefined>();
  const seen = { text: '', closed: closed.promise };
  channel.read({
    onData(bytes) {
      seen.text += Buffer.from(bytes).toString();
      channel.credit(bytes.length);
      return false;
    },
    onEnd() {},
    onDrain() {},
    onClose: (error) => closed.resolve(error),
  });
  return seen;
}
