/** Other readers of HTTP/1.1: nginx and haproxy as proxies before an observer, and llhttp (node:http) itself. */
import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import { accessSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { serveHttp1 } from '../../src/http/h1/index.ts';
import { HeaderList } from '../../src/http/header-list.ts';
import type { ServerConnection, ServerExchange } from '../../src/http/message.ts';
import { tcpChannel } from '../../src/net/tcp-channel.ts';
import { freePort } from '../support/free-port.ts';

/** One request as somebody has read it. */
export interface SeenMessage {
  readonly method: string;
  readonly target: string;
  readonly host: string;
  readonly bodyBytes: number;
  readonly bodySha256: string;
}

export interface Reading {
  /** The requests that were read whole. */
  readonly seen: SeenMessage[];
  /** Whether the last answer says that what came next is no good. */
  readonly isRefused: boolean;
}

export interface Reader {
  readonly name: string;
  /** Sends `bytes` on a connection of their own, and waits until it ends or is quiet for so long. */
  read(bytes: Uint8Array, quietMs: number): Promise<Reading>;
  stop(): Promise<void>;
}

/** llhttp as strict as Node has it by default. */
export async function startNodeReader(): Promise<Reader> {
  const observer = await startNodeObserver();
  return {
    name: 'llhttp',
    read: (bytes, quietMs) => observer.during(() => converse(observer.port, bytes, quietMs)),
    stop: () => observer.stop(),
  };
}

export async function startNginxReader(dir: string): Promise<Reader | undefined> {
  return observed(await startObserver(), (port) => startNginx(dir, port));
}

export async function startHaproxyReader(dir: string): Promise<Reader | undefined> {
  return observed(await startObserver(), (port) => startHaproxy(dir, port));
}

async function observed(
  observer: Observer,
  start: (backendPort: number) => Promise<RunningProxy | undefined>,
): Promise<Reader | undefined> {
  const proxy = await start(observer.port);
  if (!proxy) {
    await observer.stop();
    return undefined;
  }
  return {
    name: proxy.name,
    read: (bytes, quietMs) => observer.during(() => converse(proxy.port, bytes, quietMs)),
    async stop() {
      await proxy.stop();
      await observer.stop();
    },
  };
}

export interface RunningProxy {
  readonly name: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** As a proxy before a port of loopback; undefined: it is not installed. */
export async function startNginx(dir: string, backendPort: number): Promise<RunningProxy | undefined> {
  const command = findCommand('nginx');
  if (command === undefined) return undefined;
  const port = await freePort();
  const root = join(dir, 'nginx');
  mkdirSync(root, { recursive: true });
  const config = join(root, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${root}/${name};`)
    .join(' ');
  writeFileSync(
    config,
    `daemon off; master_process off; pid ${root}/pid; error_log stderr crit;
events { worker_connections 512; }
http { access_log off; ${temporary} client_max_body_size 0; large_client_header_buffers 4 64k; underscores_in_headers on; keepalive_requests 10000;
lingering_close off;
upstream backend { server 127.0.0.1:${backendPort} max_fails=0; keepalive 4; }
server { listen 127.0.0.1:${port};
location / { proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host; proxy_ignore_client_abort on;
proxy_next_upstream off; } } }
`,
  );
  return startProxy('nginx', [command, '-p', root, '-c', config, '-e', 'stderr'], port);
}

export async function startHaproxy(dir: string, backendPort: number): Promise<RunningProxy | undefined> {
  const command = findCommand('haproxy');
  if (command === undefined) return undefined;
  const port = await freePort();
  const config = join(dir, 'haproxy.cfg');
  writeFileSync(
    config,
    `global
  tune.bufsize 65536
  tune.http.maxhdr 256
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
  timeout http-request 5s
listen framing
  bind 127.0.0.1:${port}
  server backend 127.0.0.1:${backendPort}
`,
  );
  return startProxy('haproxy', [command, '-db', '-f', config], port);
}

async function startProxy(
  name: string,
  [command = '', ...args]: readonly string[],
  port: number,
): Promise<RunningProxy> {
  const process = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  process.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const ended = new Promise<void>((resolve) => process.once('close', () => resolve()));
  let isEnded = false;
  void ended.then(() => (isEnded = true));
  while (!(await accepts(port))) {
    if (isEnded) throw new Error(`Cannot start ${name}: ${errors}`);
  }
  return {
    name,
    port,
    async stop() {
      process.kill('SIGKILL');
      await ended;
    },
  };
}

interface Observer {
  readonly port: number;
  /** What is read whole while `run` runs, and what is under way at its end. */
  during(run: () => Promise<string>): Promise<Reading>;
  stop(): Promise<void>;
}

/** Requests in the order of their beginning. */
class Notes {
  #seen: (SeenMessage | undefined)[] = [];
  readonly #running = new Set<Promise<unknown>>();

  add(message: Promise<SeenMessage>): void {
    const list = this.#seen;
    const at = list.push(undefined) - 1;
    const noted = message.then(
      (whole) => (list[at] = whole),
      () => {},
    );
    this.#running.add(noted);
    void noted.then(() => this.#running.delete(noted));
  }

  async during(run: () => Promise<string>): Promise<Reading> {
    this.#seen = [];
    const answer = await run();
    await Promise.all(this.#running);
    // nginx answers a request line that it cannot read with a page alone.
    const statuses = [...answer.matchAll(/(?:^HTTP\/1\.[01] |<title>)(\d{3})/gm)].map(([, status]) => Number(status));
    return { seen: this.#seen.filter((message) => message !== undefined), isRefused: (statuses.at(-1) ?? 0) >= 400 };
  }
}

async function startNodeObserver(): Promise<Observer> {
  const notes = new Notes();
  const server = createServer({ maxHeaderSize: 256 * 1024, requireHostHeader: true }, (request, response) => {
    const whole = readIncoming(request);
    notes.add(whole);
    whole.then(
      () => response.end('ok'),
      () => {},
    );
  });
  server.maxHeadersCount = 0;
  // Not in the types: pipelined requests are answered although their client has ended its side.
  (server as { httpAllowHalfOpen?: boolean }).httpAllowHalfOpen = true;
  server.on('checkContinue', (request, response) => server.emit('request', request, response));
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  server.on('clientError', (_error, socket) => socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    during: (run) => notes.during(run),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Our own codec, behind a proxy: any method is good for it. */
async function startObserver(): Promise<Observer> {
  const notes = new Notes();
  const connections = new Set<ServerConnection>();
  const server = createTcpServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
    const connection = serveHttp1(tcpChannel(socket), {
      scheme: 'http',
      limits: { maxHeadBytes: 256 * 1024, maxFields: 1000 },
      listener: {
        onRequest: (exchange) => notes.add(readExchange(exchange)),
        onClose: () => connections.delete(connection),
      },
    });
    connections.add(connection);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    during: (run) => notes.during(run),
    async stop() {
      for (const connection of connections) connection.close();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Reads a request to its end, and answers it. Rejects when it has none. */
export function readExchange(exchange: ServerExchange): Promise<SeenMessage> {
  return new Promise((resolve, reject) => {
    const { method, path, authority } = exchange.request;
    const hash = createHash('sha256');
    let bodyBytes = 0;
    const finish = (): void => {
      resolve({ method, target: path, host: authority, bodyBytes, bodySha256: hash.digest('hex') });
      exchange.respond({ status: 200, headers: new HeaderList(['content-length', '2']) }, false);
      exchange.write(Buffer.from('ok'));
      exchange.end();
    };
    exchange.read({
      onData(bytes) {
        bodyBytes += bytes.length;
        hash.update(bytes);
        exchange.credit(bytes.length);
      },
      onEnd: finish,
      onDrain() {},
      onClose: (error) => reject(error ?? new Error('The request was cut')),
    });
    if (exchange.bodyLength === 0) finish();
  });
}

function readIncoming(request: IncomingMessage): Promise<SeenMessage> {
  return new Promise((resolve, reject) => {
    const hash = createHash('sha256');
    let bodyBytes = 0;
    request.on('data', (chunk: Buffer) => {
      bodyBytes += chunk.length;
      hash.update(chunk);
    });
    request.once('end', () => {
      const { method = '', url = '', headers } = request;
      resolve({ method, target: url, host: headers.host ?? '', bodyBytes, bodySha256: hash.digest('hex') });
    });
    request.once('error', reject);
    request.once('close', () => reject(new Error('The request was cut')));
  });
}

/**
 * Sends `bytes` and waits for the other side to end. Who is quiet for `quietMs` waits for more: it is told that there is none.
 * (Not at once: haproxy forgets pipelined requests of a client that has ended.)
 */
export function converse(port: number, bytes: Uint8Array, quietMs: number): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    let hasEnded = false;
    const socket: Socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.write(bytes));
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => {
      if (hasEnded) return finish();
      hasEnded = true;
      socket.end();
      timer.refresh();
    }, quietMs);
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1');
      timer.refresh();
    });
    socket.on('end', finish);
    socket.on('error', finish);
    socket.on('close', finish);
  });
}

function findCommand(name: string): string | undefined {
  for (const folder of ['/usr/sbin', '/usr/bin', '/usr/local/sbin', '/usr/local/bin', '/sbin']) {
    try {
      accessSync(join(folder, name));
      return join(folder, name);
    } catch {
      // The next one.
    }
  }
  return undefined;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => setTimeout(() => resolve(false), 20));
  });
}
