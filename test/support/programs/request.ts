/**
 * Opens one connection to HOST PORT, sends TEXT, half-closes, and prints one JSON line: what came back, or the error.
 * Arguments: HOST PORT TEXT [TIMEOUT_MS].
 */
import { connect } from 'node:net';

const [, , host = '', port = '', text = '', timeoutMs = '5000'] = process.argv;
let reply = '';
const say = (result: unknown): void => {
  console.log(JSON.stringify(result));
  process.exit(0);
};
const socket = connect({ host, port: Number(port), allowHalfOpen: true });
socket.setTimeout(Number(timeoutMs), () => say({ error: 'timeout', reply }));
socket.on('connect', () => socket.end(text));
socket.on('data', (chunk) => (reply += chunk.toString()));
socket.on('error', (error: NodeJS.ErrnoException) => say({ error: error.code ?? error.message, reply }));
socket.on('end', () => say({ reply }));
