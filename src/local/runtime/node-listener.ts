/**
 * The node's TLS port, where the API server of a cluster asks for logs and streams: the caller shows a certificate of the cluster's
 * CA, and the API server itself says whether its holder may (as a kubelet with `--authorization-mode=Webhook` has it).
 */
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { Clock } from '../../lib/clock.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { KubeClient } from '../../kube/index.ts';

/** Port of a kubelet: https://kubernetes.io/docs/reference/networking/ports-and-protocols/ */
export const kubeletPort = 10_250;

export interface NodeListenerFiles {
  readonly certPem: string;
  readonly keyPem: string;
  /** Whoever holds a certificate of these is known by its name. */
  readonly clientCaPem: string;
}

export interface NodeListenerOptions extends NodeListenerFiles {
  readonly host: string;
  /** 0 picks one. */
  readonly port: number;
  readonly nodeName: string;
  readonly client: KubeClient;
  /** Takes over a connection whose caller may do everything here. */
  readonly accept: (socket: TLSSocket) => void;
  readonly clock: Clock;
  readonly log: Log;
}

export interface RunningNodeListener {
  readonly port: number;
  close(): Promise<void>;
}

interface Caller {
  readonly user: string;
  readonly groups: readonly string[];
}

/** How long an answer is believed, as a kubelet does by default. */
const allowedMs = 300_000;
const deniedMs = 30_000;
const maxAnswers = 256;
const maxConnections = 2048;
const handshakeTimeoutMs = 10_000;

/** Throws `runtime.listen`. */
export async function startNodeListener(options: NodeListenerOptions): Promise<RunningNodeListener> {
  const { certPem, keyPem, clientCaPem, host, port, log } = options;
  const sockets = new Set<TLSSocket>();
  const mayAsk = rememberAnswers(options);
  const server = createServer(
    {
      cert: certPem,
      key: keyPem,
      ca: clientCaPem,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      handshakeTimeout: handshakeTimeoutMs,
    },
    (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => socket.destroy());
      const caller = callerOf(socket);
      if (!caller) return refuse(socket, 403, 'the certificate names no user');
      mayAsk(caller).then(
        (allowed) => {
          if (socket.destroyed) return;
          if (allowed) options.accept(socket);
          else
            refuse(socket, 403, `user ${JSON.stringify(caller.user)} may not use nodes/proxy of ${options.nodeName}`);
        },
        (error: unknown) => {
          log.warn('Cannot ask who may use the node', { user: caller.user, error: messageOf(error) });
          refuse(socket, 500, 'the API server does not say whether you may');
        },
      );
    },
  );
  server.maxConnections = maxConnections;
  server.on('tlsClientError', (error) => log.debug('Refused a TLS connection', { error: messageOf(error) }));
  await listen(server, host, port);
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** The common name is the user and the organizations are the groups: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates */
function callerOf(socket: TLSSocket): Caller | undefined {
  const subject: Readonly<Record<string, string | string[] | undefined>> = { ...socket.getPeerCertificate().subject };
  const { CN: user, O: organizations = [] } = subject;
  if (typeof user !== 'string' || user === '') return undefined;
  return {
    user,
    groups: [...(Array.isArray(organizations) ? organizations : [organizations]), 'system:authenticated'],
  };
}

function rememberAnswers(options: NodeListenerOptions): (caller: Caller) => Promise<boolean> {
  const { clock } = options;
  const answers = new Map<string, { readonly allowed: boolean; readonly untilMs: number }>();
  return async (caller) => {
    const key = JSON.stringify(caller);
    const known = answers.get(key);
    if (known && clock.nowMs() < known.untilMs) return known.allowed;
    const allowed = await review(options, caller);
    if (answers.size >= maxAnswers) answers.clear();
    answers.set(key, { allowed, untilMs: clock.nowMs() + (allowed ? allowedMs : deniedMs) });
    return allowed;
  };
}

/** One question a connection, for the most that it can ask: what changes something. */
async function review({ client, nodeName }: NodeListenerOptions, { user, groups }: Caller): Promise<boolean> {
  const response = await client.raw({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: {
        user,
        groups,
        resourceAttributes: { verb: 'create', version: 'v1', resource: 'nodes', subresource: 'proxy', name: nodeName },
      },
    },
  });
  const { status } = JSON.parse(await response.body.text()) as { status?: { allowed?: boolean; denied?: boolean } };
  return status?.allowed === true && status.denied !== true;
}

function refuse(socket: TLSSocket, code: number, message: string): void {
  const body = `${message}\n`;
  socket.end(
    `HTTP/1.1 ${code} Refused\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new AmbitError(`Cannot listen on ${host}:${port}: ${messageOf(cause)}`, {
          code: 'runtime.listen',
          blame: 'internal',
          cause,
        }),
      ),
    );
    server.listen(port, host, resolve);
  });
}
