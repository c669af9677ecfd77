/**
 * An HTTP/1.1 application for tests of proxies. Arguments: PORT VERSION.
 *
 * `/status/N` answers N; `/flaky/N/KEY` answers 503 the first N times for KEY; `/delay/MS` waits; `/events` streams three events;
 * `/bytes/N` answers N bytes; `/seen/KEY` tells how often `/flaky` came with KEY; an upgrade to websocket echoes; everything else tells what came, as JSON.
 */
import { createServer } from 'node:http';

const [, , port = '0', version = 'v1'] = process.argv;
const seen = new Map<string, number>();

const server = createServer((request, response) => {
  let size = 0;
  request.on('data', (chunk: Buffer) => (size += chunk.length));
  request.on('end', () => {
    const { method, url = '/', headers, socket } = request;
    const [, name = '', argument = '', key = ''] = (url.split('?')[0] ?? '').split('/');
    response.setHeader('x-app', version);
    const tell = (status: number): void => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ version, method, url, headers, size, client: socket.remoteAddress }));
    };
    switch (name) {
      case 'status':
        return tell(Number(argument));
      case 'flaky': {
        const before = seen.get(key) ?? 0;
        seen.set(key, before + 1);
        return tell(before < Number(argument) ? 503 : 200);
      }
      case 'seen':
        response.setHeader('x-seen', String(seen.get(argument) ?? 0));
        return tell(200);
      case 'delay':
        setTimeout(() => tell(200), Number(argument));
        return;
      case 'bytes':
        response.end(Buffer.alloc(Number(argument), 'x'));
        return;
      case 'events': {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        let sent = 0;
        const next = (): void => {
          response.write(`data: ${sent++}\n\n`);
          if (sent === 3) response.end();
          else setTimeout(next, 50);
        };
        next();
        return;
      }
      default:
        tell(200);
    }
  });
});
server.on('upgrade', (request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
  socket.on('data', (chunk: Buffer) => socket.write(`${version}:${chunk.toString()}`));
  socket.on('end', () => socket.end());
  socket.on('error', () => socket.destroy());
  request.on('error', () => socket.destroy());
});
server.listen(Number(port), '::');
