/**
 * Exec and attach over a WebSocket: each message leads with the number of its channel, 0 stdin, 1 stdout, 2 stderr, 3 error,
 * 4 resize. v5 adds that 255 and a number close a channel; the base64 forms send text (Kubernetes, wsstream).
 */
import { Readable, Writable } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { encodeStatus } from './remote-status.ts';
import { SizeKeeper, SizeReader, type RemoteOptions, type RemoteSession } from './remote-session.ts';

const channels = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

/** "" is a client that names none. */
export const webSocketProtocols: readonly string[] = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v4.base64.channel.k8s.io',
  'channel.k8s.io',
  'base64.channel.k8s.io',
  '',
];

/** The session over an open WebSocket. */
export function openWebSocketSession(webSocket: WebSocket, remote: RemoteOptions): RemoteSession {
  const { protocol } = webSocket;
  const isText = protocol.includes('base64');
  const canClose = protocol === 'v5.channel.k8s.io';
  const gone = new AbortController();
  const sizes = new SizeKeeper();
  const sizeReader = new SizeReader();
  const send = (channel: number, data: Uint8Array, done: (error?: Error | null) => void): void => {
    if (webSocket.readyState !== webSocket.OPEN) return done(new Error('The client is gone'));
    if (isText) webSocket.send(`${channel}${Buffer.from(data).toString('base64')}`, { binary: false }, done);
    else webSocket.send(Buffer.concat([Buffer.from([channel]), data]), { binary: true }, done);
  };
  const output = (channel: number): Writable => {
    const stream = new Writable({
      highWaterMark: 128 * 1024,
      write: (chunk: Buffer, _encoding, done) => send(channel, chunk, done),
    });
    stream.on('error', () => {});
    return stream;
  };
  const stdin = remote.stdin ? new Readable({ highWaterMark: 128 * 1024, read: () => webSocket.resume() }) : undefined;
  stdin?.on('error', () => {});

  webSocket.on('message', (data: RawData, isBinary: boolean) => {
    const message = toBuffer(data);
    if (message.length === 0 || isBinary === isText) return;
    const channel = isText ? (message[0] ?? 0) - 0x30 : message[0];
    if (canClose && channel === channels.close) {
      if (message[1] === channels.stdin) stdin?.push(null);
      return;
    }
    const payload = isText ? Buffer.from(message.toString('latin1', 1), 'base64') : message.subarray(1);
    if (channel === channels.resize) for (const size of sizeReader.read(payload)) sizes.set(size);
    if (channel === channels.stdin && stdin && !stdin.readableEnded && payload.length > 0 && !stdin.push(payload))
      webSocket.pause();
  });
  const onGone = (): void => {
    gone.abort();
    stdin?.destroy();
  };
  webSocket.on('close', onGone);
  webSocket.on('error', onGone);
  // Kubernetes says so that the connection stands.
  send(remote.stdout ? channels.stdout : remote.stderr ? channels.stderr : channels.error, Buffer.alloc(0), () => {});

  const stdout = remote.stdout ? output(channels.stdout) : undefined;
  const stderr = remote.stderr ? output(channels.stderr) : undefined;
  let isFinished = false;
  return {
    stdin,
    stdout,
    stderr,
    onResize: (listener) => sizes.listen(listener),
    gone: gone.signal,
    finish(status) {
      if (isFinished) return;
      isFinished = true;
      // The answer to our close frame has to be read.
      stdin?.destroy();
      webSocket.resume();
      const ended = [stdout, stderr].map(
        (stream) =>
          new Promise<void>((resolve) => void (!stream || stream.destroyed ? resolve() : stream.end(resolve))),
      );
      void Promise.all(ended).then(() => {
        const told = encodeStatus(status, protocol.startsWith('v4.') || canClose);
        if (told.length > 0) send(channels.error, told, () => {});
        webSocket.close(1000);
      });
    },
  };
}

function toBuffer(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}
