/** A byte stream inside the binary messages of a WebSocket (`SPDY/3.1+portforward.k8s.io`). */
import { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';

export const tunnelProtocol = 'SPDY/3.1+portforward.k8s.io';

export function openWebSocketTunnel(webSocket: WebSocket): Duplex {
  const stream = new Duplex({
    readableHighWaterMark: 256 * 1024,
    writableHighWaterMark: 256 * 1024,
    read: () => webSocket.resume(),
    write: (chunk: Buffer, _encoding, done) => webSocket.send(chunk, { binary: true }, done),
    writev(chunks, done) {
      webSocket.send(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer)), { binary: true }, done);
    },
    final(done) {
      webSocket.close(1000);
      done();
    },
    destroy(error, done) {
      webSocket.terminate();
      done(error);
    },
  });
  webSocket.on('message', (data: RawData, isBinary: boolean) => {
    if (isBinary && !stream.push(toBuffer(data))) webSocket.pause();
  });
  webSocket.on('close', () => {
    if (!stream.destroyed) stream.push(null);
  });
  webSocket.on('error', () => stream.destroy());
  return stream;
}

function toBuffer(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}
