/**
 * Opens a connection to HOST PORT every INTERVAL_MS, sends a word, and expects it back; until its standard input ends. Prints a JSON
 * line with `answered` a second, and a last one with `failures` too: when each of the others began (Unix time), and why it failed.
 */
import { connect } from 'node:net';

const [, , host = '', port = '', intervalMs = '50'] = process.argv;
const failures: { readonly atMs: number; readonly reason: string }[] = [];
let answered = 0;
let open = 0;

function knock(): void {
  open++;
  const atMs = Date.now();
  let reply = '';
  let failure: string | undefined;
  const socket = connect({ host, port: Number(port), allowHalfOpen: true });
  socket.setTimeout(10_000, () => {
    failure ??= 'timeout';
    socket.destroy();
  });
  socket.on('connect', () => socket.end('knock'));
  socket.on('data', (chunk) => (reply += chunk.toString()));
  socket.on('error', (error: NodeJS.ErrnoException) => (failure ??= error.code ?? error.message));
  socket.on('end', () => socket.destroy());
  socket.on('close', () => {
    open--;
    if (reply === 'knock') answered++;
    else failures.push({ atMs, reason: failure ?? 'closed' });
  });
}

const timer = setInterval(knock, Number(intervalMs));
const progress = setInterval(() => console.log(JSON.stringify({ answered })), 1000);
process.stdin.resume().on('end', () => {
  clearInterval(timer);
  clearInterval(progress);
  const last = setInterval(() => {
    if (open > 0) return;
    clearInterval(last);
    console.log(JSON.stringify({ answered, failures }));
  }, 20);
});
