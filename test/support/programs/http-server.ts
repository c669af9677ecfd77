/** Answers every request with its method, URL, body length and the client's address. Argument: port. */
import { createServer } from 'node:http';

const port = Number(process.argv[2]);
createServer((request, response) => {
  let size = 0;
  request.on('data', (chunk: Buffer) => (size += chunk.length));
  request.on('end', () => {
    response.setHeader('connection', 'close');
    response.end(
      JSON.stringify({ method: request.method, url: request.url, size, client: request.socket.remoteAddress }),
    );
  });
}).listen(port, '::');
