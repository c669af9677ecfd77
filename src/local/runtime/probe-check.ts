/** One probe, run once, from the node's own network namespace as kubelet does: httpGet, tcpSocket, grpc, exec. */
import { request as httpRequest } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import type { Container, Probe } from '../../api/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { formatHostPort } from '../../lib/ip.ts';

export interface ProbeOutcome {
  readonly ok: boolean;
  /** Why not; "" when it succeeded. */
  readonly message: string;
}

export interface ProbeTarget {
  readonly container: Container;
  readonly podIp: string;
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
      return await checkTcp(probe.tcpSocket.host ?? target.podIp, port, timeoutMs);
    }
    if (probe.grpc) return await checkGrpc(target.podIp, probe.grpc.port, probe.grpc.service ?? '', timeoutMs);
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

function checkHttp(
  action: NonNullable<Probe['httpGet']>,
  target: ProbeTarget,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  const host = action.host || target.podIp;
  const port = resolvePort(action.port, target.container);
  const headers: Record<string, string> = { 'user-agent': 'kube-probe/1.33', accept: '*/*', connection: 'close' };
  for (const { name, value } of action.httpHeaders ?? []) headers[name.toLowerCase()] = value;
  const secure = action.scheme === 'HTTPS';
  return new Promise((resolve) => {
    const request = (secure ? httpsRequest : httpRequest)(
      {
        host,
        port,
        path: action.path ?? '/',
        method: 'GET',
        headers,
        agent: false,
        ...(secure ? { rejectUnauthorized: false } : {}),
      },
      (response) => {
        const status = response.statusCode ?? 0;
        finish(status >= 200 && status < 400 ? success : failure(`HTTP probe failed with statuscode: ${status}`));
        response.destroy();
      },
    );
    const timer = setTimeout(() => finish(failure(`no answer within ${timeoutMs} ms`)), timeoutMs);
    function finish(outcome: ProbeOutcome): void {
      clearTimeout(timer);
      resolve(outcome);
      request.destroy();
    }
    request.on('error', (error) => finish(failure(messageOf(error))));
    request.end();
  });
}

function checkTcp(host: string, port: number, timeoutMs: number): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const timer = setTimeout(() => finish(failure(`no connection within ${timeoutMs} ms`)), timeoutMs);
    function finish(outcome: ProbeOutcome): void {
      clearTimeout(timer);
      resolve(outcome);
      socket.destroy();
    }
    socket.on('connect', () => finish(success));
    socket.on('error', (error) => finish(failure(messageOf(error))));
  });
}

/** `grpc.health.v1.Health/Check`, whose messages are small enough to write by hand. */
function checkGrpc(host: string, port: number, service: string, timeoutMs: number): Promise<ProbeOutcome> {
  const name = Buffer.from(service);
  const message = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);
  return new Promise((resolve) => {
    const session = connectHttp2(`http://${formatHostPort(host, port)}`);
    const timer = setTimeout(() => finish(failure(`no answer within ${timeoutMs} ms`)), timeoutMs);
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
