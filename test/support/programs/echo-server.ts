/** Sends back what it gets, and logs each peer's address. Half-closes pass through. Argument: port. */
import { createServer } from 'node:net';

const port = Number(process.argv[2]);
createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  console.log(JSON.stringify({ peer: socket.remoteAddress }));
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
}).listen(port, '::');
