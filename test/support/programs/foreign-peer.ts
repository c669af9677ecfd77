/** A client that is not of the mesh: opens connections as each question says, and answers with what became of them. */
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type SecureVersion, type TLSSocket } from 'node:tls';
import { codeOf, messageOf } from '../../../src/lib/errors.ts';
import { answerQuestions } from '../conversation.ts';

export interface PeerTls {
  /** Absent: no certificate is shown. */
  readonly certPem?: string;
  readonly keyPem?: string;
  /** Default h2. */
  readonly alpn?: readonly string[];
  readonly maxVersion?: SecureVersion;
}

export interface PeerQuestion {
  readonly host: string;
  readonly port: number;
  /** Absent: plain TCP. */
  readonly tls?: PeerTls;
  /** Base64 of what is written once connected (with TLS: once the handshake is done). */
  readonly send?: string;
  /** One HTTP/2 request, sent by Node's own client. Only with TLS, and instead of `send`. */
  readonly request?: Readonly<Record<string, string>>;
  /** How long the answer waits, once connected, for the other end to close; default 5 s. Nobody waits longer than 30 s to connect. */
  readonly timeoutMs?: number;
  /** Base64: with these bytes at the end of what came, the answer does not wait any longer. */
  readonly until?: string;
}

export interface PeerAnswer {
  readonly localPort: number;
  /** TLS, as far as the client sees: with TLS 1.3 it is done before the server looked at the certificate. */
  readonly handshakeDone: boolean;
  /** Base64 of all bytes that came. */
  readonly received: string;
  /** Whether the other end ended the connection. */
  readonly closed: boolean;
  /** Code of the connection's error: `ECONNRESET`, `ERR_SSL_...` */
  readonly error?: string;
  readonly response?: PeerResponse;
}

export interface PeerResponse {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, unknown>>;
  /** After a 2xx, "hello" is sent: this is what came back. */
  readonly echoed?: string;
  readonly error?: string;
}

await answerQuestions(async (question: PeerQuestion): Promise<PeerAnswer> => {
  const { host, port, tls, send, request, timeoutMs = 5000, until = '' } = question;
  const tcp = connectTcp({ host, port });
  const socket = tls ? secure(tcp, tls) : tcp;
  const done = tls ? 'secureConnect' : 'connect';
  let localPort = 0;
  let handshakeDone = false;
  let closed = false;
  let failure: string | undefined;
  const received: Buffer[] = [];
  tcp.once('connect', () => (localPort = tcp.localPort ?? 0));
  if (request === undefined) socket.on('data', (chunk: Buffer) => received.push(chunk));
  const over = new Promise<void>((resolve) => {
    let timer = setTimeout(resolve, 30_000);
    tcp.once('connect', () => {
      clearTimeout(timer);
      timer = setTimeout(resolve, timeoutMs);
    });
    if (until !== '') {
      const last = Buffer.from(until, 'base64');
      socket.on('data', () => {
        if (!Buffer.concat(received).subarray(-last.length).equals(last)) return;
        clearTimeout(timer);
        resolve();
      });
    }
    const end = (): void => {
      closed = true;
      clearTimeout(timer);
      resolve();
    };
    socket.once('end', end).once('close', end);
  });
  socket.on('error', (error) => (failure ??= codeOf(error) ?? messageOf(error)));
  const connected = new Promise<void>((resolve) => {
    socket.once(done, () => {
      handshakeDone = tls !== undefined;
      if (send !== undefined) socket.write(Buffer.from(send, 'base64'));
      resolve();
    });
  });
  let response: PeerResponse | undefined;
  if (request === undefined) {
    await over;
  } else {
    await Promise.race([connected, over]);
    response = await exchange(socket, request, over);
  }
  socket.destroy();
  tcp.destroy();
  return {
    localPort,
    handshakeDone,
    received: Buffer.concat(received).toString('base64'),
    closed,
    ...(failure === undefined ? {} : { error: failure }),
    ...(response ? { response } : {}),
  };
});

function secure(socket: Socket, { certPem, keyPem, alpn = ['h2'], maxVersion }: PeerTls): TLSSocket {
  socket.on('error', () => undefined);
  return connectTls({
    socket,
    rejectUnauthorized: false,
    ALPNProtocols: [...alpn],
    ...(certPem === undefined ? {} : { cert: certPem }),
    ...(keyPem === undefined ? {} : { key: keyPem }),
    ...(maxVersion === undefined ? {} : { maxVersion, minVersion: maxVersion }),
  });
}

/** One request over Node's HTTP/2. After a 2xx it is a tunnel, and says hello. */
async function exchange(
  socket: Socket,
  headers: Readonly<Record<string, string>>,
  over: Promise<void>,
): Promise<PeerResponse> {
  const session: ClientHttp2Session = connectHttp2('https://peer', { createConnection: () => socket as TLSSocket });
  const answer = new Promise<PeerResponse>((resolve) => {
    let result: PeerResponse = {};
    session.on('error', (error) => resolve({ ...result, error: messageOf(error) }));
    const stream = session.request(headers, { endStream: false });
    let echoed = '';
    stream.on('response', ({ ':status': status, ...rest }) => {
      result = { headers: rest, ...(status === undefined ? {} : { status }) };
      if (status !== undefined && status < 300) stream.end('hello');
    });
    stream.on('data', (chunk: Buffer) => (echoed += chunk.toString()));
    stream.on('error', (error) => (result = { ...result, error: messageOf(error) }));
    stream.on('close', () => resolve(echoed === '' ? result : { ...result, echoed }));
  });
  const outcome = await Promise.race([answer, over.then(() => ({ error: 'no answer' }))]);
  session.destroy();
  return outcome;
}
