/**
 * Opens one connection to an echo server after another, each with a request of its own, and checks the answer.
 * Arguments: HOST PORT. Prints `{served, errors}` a second; with `done: true` after its standard input ended.
 */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';

const [, , host = '', port = ''] = process.argv;
let served = 0;
let stopping = false;
const errors: string[] = [];

function once(): Promise<void> {
  const request = randomBytes(512);
  return new Promise((resolve) => {
    const got: Buffer[] = [];
    const socket = connect({ host, port: Number(port), allowHalfOpen: true });
    socket.setTimeout(10_000, () => socket.destroy(new Error('timeout')));
    socket.on('connect', () => socket.end(request));
    socket.on('data', (chunk: Buffer) => got.push(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code ?? error.message));
    socket.on('end', () => {
      if (Buffer.concat(got).equals(request)) served += 1;
      else errors.push(`wrong answer: ${Buffer.concat(got).length} of ${request.length} bytes`);
    });
    socket.on('close', () => resolve());
  });
}

process.stdin.on('end', () => (stopping = true)).resume();
const timer = setInterval(() => console.log(JSON.stringify({ done: false, served, errors })), 1000);
while (!stopping) {
  await once();
  await new Promise((resolve) => setTimeout(resolve, 5));
}
clearInterval(timer);
console.log(JSON.stringify({ done: true, served, errors }));
