/** Exec and attach over SPDY/3.1: a stream each for error, stdin, stdout, stderr and resize, which the client opens. */
import type { Duplex } from 'node:stream';
import type { Clock } from '../../../lib/clock.ts';
import { encodeStatus } from './remote-status.ts';
import { SizeKeeper, SizeReader, type RemoteOptions, type RemoteSession } from './remote-session.ts';
import { SpdyConnection, type SpdyStream } from './spdy-connection.ts';

/** In the order that we prefer; the client's order decides. */
export const remoteCommandProtocols: readonly string[] = [
  'v4.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
  'channel.k8s.io',
];

export interface SpdySessionOptions {
  readonly transport: Duplex;
  readonly protocol: string;
  readonly remote: RemoteOptions;
  readonly clock: Clock;
  readonly start: (session: RemoteSession) => void;
}

type StreamName = 'error' | 'stdin' | 'stdout' | 'stderr' | 'resize';
/** Kubernetes waits as long for a client to open its streams. */
const openTimeoutMs = 30_000;

/** Calls `start` once every stream that the request asks for is open; drops a client that does not open them. */
export function serveSpdySession(options: SpdySessionOptions): void {
  const { transport, protocol, remote, clock } = options;
  const streams = new Map<StreamName, SpdyStream>();
  const wanted = wantedStreams(remote, protocol);
  const gone = new AbortController();
  const connection = new SpdyConnection({
    transport,
    maxStreams: 8,
    onStream(stream) {
      const name = stream.headers.get('streamtype') as StreamName;
      if (!wanted.has(name) || streams.has(name)) throw new Error('unexpected stream');
      streams.set(name, stream);
      if (streams.size === wanted.size) begin();
    },
    onClose() {
      cancelTimeout();
      gone.abort();
    },
  });
  const cancelTimeout = clock.after(openTimeoutMs, () => connection.destroy());

  const begin = (): void => {
    cancelTimeout();
    const sizes = new SizeKeeper();
    const sizeReader = new SizeReader();
    streams.get('resize')?.on('data', (chunk: Buffer) => sizeReader.read(chunk).forEach((size) => sizes.set(size)));
    // Read to their ends, so that they close.
    for (const name of ['error', 'stdout', 'stderr'] as const) streams.get(name)?.resume();
    let isFinished = false;
    options.start({
      stdin: streams.get('stdin'),
      stdout: streams.get('stdout'),
      stderr: streams.get('stderr'),
      onResize: (listener) => sizes.listen(listener),
      gone: gone.signal,
      finish(status) {
        if (isFinished) return;
        isFinished = true;
        const ends = (['stdout', 'stderr', 'error'] as const).flatMap((name) => streams.get(name) ?? []);
        streams.get('error')?.write(encodeStatus(status, protocol === 'v4.channel.k8s.io'));
        const ended = ends.map(
          (stream) => new Promise<void>((resolve) => void (stream.destroyed ? resolve() : stream.end(resolve))),
        );
        void Promise.all(ended).then(() => connection.end());
      },
    });
  };
}

function wantedStreams(remote: RemoteOptions, protocol: string): Set<StreamName> {
  const wanted = new Set<StreamName>(['error']);
  if (remote.stdin) wanted.add('stdin');
  if (remote.stdout) wanted.add('stdout');
  if (remote.stderr) wanted.add('stderr');
  if (remote.tty && (protocol === 'v4.channel.k8s.io' || protocol === 'v3.channel.k8s.io')) wanted.add('resize');
  return wanted;
}
