/** One probe, run once, from the node's own network namespace as kubelet does: httpGet, tcpSocket, grpc, exec. */
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Container, Probe } from '../../api/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { formatHostPort } from '../../lib/ip.ts';
import { dial } from '../../net/index.ts';

export interface ProbeOutcome {
  readonly ok: boolean;
  /** Why not; "" when it succeeded. */
  readonly message: string;
}

export interface ProbeTarget {
  readonly container: Container;
  readonly podIp: string;
  /** Packet mark of the connections; absent: none. */
  readonly mark?: number;
  /** Runs a command inside the container. Resolves to its exit code and the beginning of its output. */
  readonly exec: (command: readonly string[], timeoutMs: number) => Promise<{ exitCode: number; output: string }>;
}

export const success: ProbeOutcome = { ok: true, message: '' };

/** Most bytes of a body or output that go into a message. */
const excerptLimit = 256;

export async function checkProbe(probe: Probe, target: ProbeTarget): Promise<ProbeOutcome> {
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
  try {
    if (probe.httpGet) return await checkHttp(probe.httpGet, target, timeoutMs);
    if (probe.tcpSocket) {
      const port = resolvePort(probe.tcpSocket.port, target.container);
      const socket = await connect(target, { host: probe.tcpSocket.host, port, timeoutMs });
      socket.destroy();
      return success;
    }
    if (probe.grpc) return await checkGrpc(probe.grpc, target, timeoutMs);
    const { exitCode, output } = await target.exec(probe.exec?.command ?? [], timeoutMs);
    return exitCode === 0 ? success : failure(`exit code ${exitCode}: ${output.slice(0, excerptLimit).trim()}`);
  } catch (error) {
    return failure(messageOf(error));
  }
}

/** A port by number, or by the name that the container gives it. */
export function resolvePort(port: number | string, container: Container): number {
  const number = Number(port);
  if (Number.isInteger(number)) return number;
  const named = container.ports?.find((each) => each.name === port);
  if (named) return named.containerPort;
  throw new Error(`container "${container.name}" has no port named "${port}"`);
}

interface Address {
  /** Absent: the pod's. */
  readonly host?: string | undefined;
  readonly port: number;
  readonly timeoutMs: number;
}

async function connect(target: ProbeTarget, { host, port, timeoutMs }: Address): Promise<Socket> {
  const name = host || target.podIp;
  const address = isIP(name) === 0 ? await addressOf(name, timeoutMs) : name;
  return dial({ host: address, port, timeoutMs, ...(target.mark === undefined ? {} : { mark: target.mark }) });
}

async function addressOf(name: string, timeoutMs: number): Promise<string> {
  const late = once(AbortSignal.timeout(timeoutMs), 'abort').then(() => {
    throw new Error(`no address of "${name}" within ${timeoutMs} ms`);
  });
  return (await Promise.race([lookup(name), late])).address;
}

async function checkHttp(
  action: NonNullable<Probe['httpGet']>,
  target: ProbeTarget,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  const deadlineMs = performance.now() + timeoutMs;
  const host = action.host || target.podIp;
  const port = resolvePort(action.port, target.container);
  const headers: Record<string, string> = { 'user-agent': 'kube-probe/1.33', accept: '*/*', connection: 'close' };
  for (const { name, value } of action.httpHeaders ?? []) headers[name.toLowerCase()] = value;
  const secure = action.scheme === 'HTTPS';
  const socket = await connect(target, { host, port, timeoutMs });
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise((resolve, reject) => {
      const late = (): void => reject(new Error(`no answer within ${timeoutMs} ms`));
      timer = setTimeout(late, Math.max(deadlineMs - performance.now(), 1));
      const request = httpRequest(
        {
          host,
          port,
          path: action.path ?? '/',
          method: 'GET',
          headers,
          defaultPort: secure ? 443 : 80,
          createConnection: () => (secure ? openTls(socket, headers['host'] ?? host) : socket.resume()),
        },
        (response) => {
          const status = response.statusCode ?? 0;
          resolve(status >= 200 && status < 400 ? success : failure(`HTTP probe failed with statuscode: ${status}`));
          response.destroy();
        },
      );
      request.on('error', reject);
      request.end();
    });
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

/** A probe asks whether somebody answers, not who. */
function openTls(socket: Socket, host: string): Socket {
  const name = host.replace(/:\d+$/, '');
  return connectTls({ socket, rejectUnauthorized: false, ...(isIP(name) === 0 ? { servername: name } : {}) });
}

/** `grpc.health.v1.Health/Check`, whose messages are small enough to write by hand. */
async function checkGrpc(
  { port, service = '' }: NonNullable<Probe['grpc']>,
  target: ProbeTarget,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  const deadlineMs = performance.now() + timeoutMs;
  const name = Buffer.from(service);
  const message = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);
  const socket = await connect(target, { port, timeoutMs });
  const leftMs = Math.max(deadlineMs - performance.now(), 1);
  return new Promise((resolve) => {
    const session = connectHttp2(`http://${formatHostPort(target.podIp, port)}`, {
      createConnection: () => socket.resume(),
    });
    const timer = setTimeout(() => finish(failure(`no answer within ${timeoutMs} ms`)), leftMs);
    function finish(outcome: ProbeOutcome): void {
      clearTimeout(timer);
      resolve(outcome);
      session.destroy();
    }
    session.on('error', (error) => finish(failure(messageOf(error))));
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    let body = Buffer.alloc(0);
    stream.on('data', (chunk: Buffer) => {
      if (body.length < excerptLimit) body = Buffer.concat([body, chunk]);
    });
    stream.on('error', (error) => finish(failure(messageOf(error))));
    // Field 1 of the answer is the status, and 1 is SERVING.
    stream.on('end', () => finish(body[5] === 0x08 && body[6] === 1 ? success : failure('the service is not serving')));
    stream.end(frame);
  });
}

function failure(message: string): ProbeOutcome {
  return { ok: false, message };
}
