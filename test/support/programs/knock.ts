/**
 * Opens a connection to HOST PORT every INTERVAL_MS, sends a word, and expects it back; until its standard input ends. Then prints one
 * JSON line: how many were answered, and why others were not.
 */
import { connect } from 'node:net';

const [, , host = '', port = '', intervalMs = '50'] = process.argv;
const failures: Record<string, number> = {};
let answered = 0;
let open = 0;

function knock(): void {
  open++;
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
    else failures[failure ?? 'closed'] = (failures[failure ?? 'closed'] ?? 0) + 1;
  });
}

const timer = setInterval(knock, Number(intervalMs));
process.stdin.resume().on('end', () => {
  clearInterval(timer);
  const last = setInterval(() => {
    if (open > 0) return;
    clearInterval(last);
    console.log(JSON.stringify({ answered, failures }));
  }, 20);
});
