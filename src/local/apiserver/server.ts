/** The embedded API server: TLS listeners over TCP and a unix socket, and its life from open to close. */
import { mkdirSync, rmSync } from 'node:fs';
import { createServer as createHttpsServer, type Server } from 'node:https';
import { createServer as createNetServer, type AddressInfo, type Server as NetServer } from 'node:net';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { KubeObject } from '../../api/index.ts';
import { systemClock, type Clock } from '../../lib/clock.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { handleRequest, handleUpgrade, type ApiContext } from './api-handler.ts';
import { bootstrapObjects } from './bootstrap.ts';
import { CustomKinds } from './custom/custom-kinds.ts';
import { startDefinitionCleanup } from './custom/definition-cleanup.ts';
import { startEventExpiry } from './event-expiry.ts';
import { Admission } from './admission/admission.ts';
import { startAggregation } from './rbac/aggregation.ts';
import { RbacAuthorizer } from './rbac/authorizer.ts';
import { openServerPki } from './pki.ts';
import { RequestLimiter, type RequestLimits } from './request-limiter.ts';
import { createServiceAccountTokens } from './service-account-tokens.ts';
import { openStaticTokens } from './static-tokens.ts';
import { sendError } from './http-messages.ts';
import { ServedKinds } from './served-kinds.ts';
import { badRequest, shuttingDown, StatusError, statusOf } from './status-error.ts';
import { ObjectStore } from './store.ts';
import { authenticatedGroup, controllersUser } from './user.ts';

export interface ApiServerOptions {
  /** Holds `api.db` and `pki/`; made when absent. */
  readonly stateDir: string;
  /** Port 0 picks a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** The same TLS server on a unix socket. */
  readonly socketPath?: string;
  /** JSON list of `{token, user, groups}`, read again when it changes. */
  readonly tokensFile: string;
  /** Unix socket of a node's runtime, for logs and port forwarding. */
  readonly nodeSocket: (node: string) => string;
  readonly log: Log;
  readonly clock?: Clock;
  /** How long a client may take to send a request. Default 60 s. */
  readonly requestTimeoutMs?: number;
  readonly limits?: RequestLimits;
  /** IP families that Services can have. Default both. */
  readonly serviceFamilies?: readonly ('IPv4' | 'IPv6')[];
}

export interface RunningApiServer {
  readonly caPem: string;
  readonly port: number;
  /** Bearer token of `system:ambit:controllers`, valid until this server closes. Secret. */
  readonly controllersToken: string;
  /** Stops accepting, ends watches, lets requests finish for up to 2 s, then closes the store. */
  close(): Promise<void>;
}

const drainMs = 2_000;
const lingerMs = 1_000;
/** Per listener. Each watch holds one. */
const maxConnections = 4096;

/** Opens the state, makes what is missing, and serves. Throws `apiserver.storage`, `apiserver.listen`. */
export async function startApiServer(options: ApiServerOptions): Promise<RunningApiServer> {
  const { stateDir, listen, socketPath, log, clock = systemClock } = options;
  mkdirSync(stateDir, { recursive: true });
  const pki = await openServerPki(join(stateDir, 'pki'));
  const store = ObjectStore.open({ path: join(stateDir, 'api.db') });
  const watches = new Set<() => void>();
  const authorizer = new RbacAuthorizer(store);
  const customKinds = new CustomKinds(store);
  const context: ApiContext = {
    store,
    kinds: new ServedKinds(customKinds),
    customKinds,
    clock,
    watches,
    authorizer,
    limiter: new RequestLimiter(options.limits),
    admission: new Admission(store, log),
    log,
    ...(options.serviceFamilies && { serviceFamilies: options.serviceFamilies }),
    nodeSocket: options.nodeSocket,
    staticTokens: openStaticTokens(options.tokensFile, log),
    serviceAccountTokens: await createServiceAccountTokens({
      key: pki.tokenKey,
      clock,
      find: (kind, namespace, name): KubeObject | undefined =>
        store.get(kind === 'Pod' ? 'pods' : 'serviceaccounts', namespace, name)?.object,
    }),
  };

  const server = createHttpsServer({
    key: pki.keyPem,
    cert: pki.certPem,
    minVersion: 'TLSv1.2',
    keepAliveTimeout: 90_000,
    requestTimeout: options.requestTimeoutMs ?? 60_000,
    headersTimeout: Math.min(options.requestTimeoutMs ?? 60_000, 30_000),
    connectionsCheckingInterval: 1_000,
    maxHeaderSize: 64 * 1024,
  });
  server.maxConnections = maxConnections;
  let closing = false;
  server.on('request', (request, response) => {
    if (closing) sendError(response.setHeader('connection', 'close'), shuttingDown());
    else void handleRequest(context, request, response);
  });
  server.on('upgrade', (request, socket, head) => void handleUpgrade(context, request, socket, head));
  server.on('clientError', refuseRequest);
  await listenOn(server, `${listen.host}:${listen.port}`, () => server.listen(listen.port, listen.host));
  const port = (server.address() as AddressInfo).port;
  await bootstrapObjects(store, { host: listen.host, port }, clock.nowMs());

  let unixServer: NetServer | undefined;
  if (socketPath !== undefined) {
    mkdirSync(dirname(socketPath), { recursive: true });
    rmSync(socketPath, { force: true });
    unixServer = createNetServer((socket) => server.emit('connection', socket));
    unixServer.maxConnections = maxConnections;
    await listenOn(unixServer, socketPath, () => unixServer?.listen(socketPath));
  }
  const stopCleanup = startDefinitionCleanup(store, clock, log);
  const stopExpiry = startEventExpiry(store, clock);
  const stopAggregation = startAggregation(store, authorizer, log);
  log.info('Serving the API', { host: listen.host, port, socketPath, revision: store.revision });

  return {
    caPem: pki.caPem,
    port,
    controllersToken: context.staticTokens.issue({ username: controllersUser, groups: [authenticatedGroup] }),
    async close() {
      closing = true;
      stopExpiry();
      stopCleanup();
      stopAggregation();
      unixServer?.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const stop of watches) stop();
      // Connections become idle one by one, as their last answers go out.
      const sweep = setInterval(() => server.closeIdleConnections(), 20);
      const deadline = setTimeout(() => server.closeAllConnections(), drainMs);
      await closed;
      clearInterval(sweep);
      clearTimeout(deadline);
      store.close();
    },
  };
}

const refused = new WeakSet<Duplex>();

/** Answers what is no HTTP request, or none in time; the connection is of no further use. */
function refuseRequest(error: Error & { code?: string }, socket: Duplex): void {
  // What still comes in after a refusal is malformed, too.
  if (refused.has(socket)) return;
  refused.add(socket);
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const refusal =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new StatusError({ code: 431, reason: 'BadRequest', message: 'the request headers are too large' })
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new StatusError({ code: 408, reason: 'Timeout', message: 'the request was not sent in time' })
        : badRequest('the request is malformed');
  const status = statusOf(refusal);
  const body = JSON.stringify(status);
  const head = `HTTP/1.1 ${status.code} ${status.reason}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n`;
  // What is still coming in is read and forgotten: a reset would take the answer with it.
  socket.end(head + body);
  socket.resume();
  setTimeout(() => socket.destroy(), lingerMs).unref();
}

function listenOn(server: Server | NetServer, where: string, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      reject(
        new AmbitError(`Cannot listen on ${where}: ${messageOf(error)}`, {
          code: 'apiserver.listen',
          blame: 'internal',
          cause: error,
        }),
      );
    };
    server.once('error', fail);
    server.once('listening', () => {
      server.off('error', fail);
      resolve();
    });
    start();
  });
}
