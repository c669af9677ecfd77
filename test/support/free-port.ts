/** Ports of the loopback for programs that have to be told one. */
import { createServer } from 'node:net';

/** Below those that the kernel gives away by itself (32768 and up): nobody is given it before the program takes it. */
const [lowest, highest] = [10_000, 30_000];

/** A port of 127.0.0.1 where nobody listens; drawn, so that two test processes hardly have the same. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}
