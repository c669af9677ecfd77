/** HTTP to one API server: connections, credentials and certificates that change, and what is worth another try. */
import { Agent, ProxyAgent, type Dispatcher } from 'undici';
import { sleep } from '../lib/clock.ts';
import { codeOf, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { impersonationHeaders, type Certificates, type ClusterAccess, type Credential } from './access.ts';
import { openDeadline } from './deadline.ts';
import { retryAfterMsOf, unreachableError } from './kube-error.ts';

export interface TransportRequest {
  readonly method: string;
  /** Path with query, from the root of the API. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal | undefined;
}

export interface ExchangeOptions {
  /** The whole exchange, its reading included, takes no longer; absent: only the head of the answer is waited for. */
  readonly timeoutMs?: number;
  /** Whether an answer of 429 with Retry-After is waited for and tried again. */
  readonly waitsWhenThrottled: boolean;
}

/** What a connection other than HTTP needs: WebSockets. */
export interface ConnectionSettings {
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly certificates: Certificates;
  readonly credential: Credential;
}

export interface Transport {
  /**
   * Sends and hands the answer to `read`, which takes the body or destroys it. A GET goes again when its connection is
   * lost, whatever part of the answer was read. Throws `kube.unreachable`, or what `read` throws.
   */
  exchange<R>(
    request: TransportRequest,
    options: ExchangeOptions,
    read: (response: Dispatcher.ResponseData) => Promise<R>,
  ): Promise<R>;
  /** `refused` was answered with 401. Undefined: there is nothing newer to try. */
  connectionSettings(refused?: Credential): Promise<ConnectionSettings | undefined>;
  close(): Promise<void>;
}

export interface TransportOptions {
  readonly log: Log;
  readonly userAgent?: string | undefined;
}

/** How often certificates in files are looked at; they rotate over hours. Failed verifications look at once. */
const certificateCheckMs = 60_000;
const headersTimeoutMs = 60_000;
const maxResets = 3;
const maxThrottles = 5;
const maxRetryAfterMs = 30_000;

export function openTransport(access: ClusterAccess, { log, userAgent = 'ambit' }: TransportOptions): Transport {
  const { origin, pathname } = new URL(access.server);
  const basePath = pathname === '/' ? '' : pathname.replace(/\/$/, '');
  const impersonation = access.impersonate ? impersonationHeaders(access.impersonate) : {};
  const { caPem, clientCertPem, clientKeyPem } = access;
  let files: Certificates = {
    ...(caPem === undefined ? {} : { caPem }),
    ...(clientCertPem === undefined ? {} : { clientCertPem }),
    ...(clientKeyPem === undefined ? {} : { clientKeyPem }),
  };
  let checkedAtMs = performance.now();
  let used: Certificates = {};
  let dispatcher: Dispatcher | undefined;
  const retired = new Set<Dispatcher>();

  /** Whether the files hold something else than before. */
  const readFiles = (): boolean => {
    if (!access.readCertificates) return false;
    checkedAtMs = performance.now();
    try {
      const next = access.readCertificates();
      if (isSame(next, files)) return false;
      files = next;
      log.info('certificates were read again', { server: access.server });
      return true;
    } catch (error) {
      // Half a rotation: what was read before may still do.
      log.warn('cannot read certificates again', { error: messageOf(error) });
      return false;
    }
  };

  const credentialOf = async (refused?: Credential): Promise<Credential> => {
    if (access.token) return { token: access.token(refused !== undefined) };
    if (access.credentials) return access.credentials.get(refused);
    return {};
  };

  const certificatesOf = (credential: Credential): Certificates => ({
    ...files,
    ...(credential.clientCertPem === undefined
      ? {}
      : { clientCertPem: credential.clientCertPem, clientKeyPem: credential.clientKeyPem ?? '' }),
  });

  /** A dispatcher with these certificates. The one before ends when its last answer does: watches are not cut. */
  const dispatcherFor = (certificates: Certificates): Dispatcher => {
    if (dispatcher && isSame(certificates, used)) return dispatcher;
    if (dispatcher) {
      const old = dispatcher;
      retired.add(old);
      void old.close().then(
        () => retired.delete(old),
        () => retired.delete(old),
      );
    }
    used = certificates;
    dispatcher = createDispatcher(access, certificates);
    return dispatcher;
  };

  const prepare = async (): Promise<{
    dispatcher: Dispatcher;
    credential: Credential;
    headers: Record<string, string | string[]>;
  }> => {
    if (performance.now() - checkedAtMs > certificateCheckMs) readFiles();
    const credential = await credentialOf();
    const headers: Record<string, string | string[]> = { 'user-agent': userAgent, ...impersonation };
    if (credential.token) headers['authorization'] = `Bearer ${credential.token}`;
    return { dispatcher: dispatcherFor(certificatesOf(credential)), credential, headers };
  };

  /** Whether the answer 401 to `credential` may become another one: its source then gives something newer from now on. */
  const canRenew = async (credential: Credential): Promise<boolean> => {
    const filesChanged = readFiles();
    const next = await credentialOf(credential);
    return filesChanged || next.token !== credential.token || next.clientCertPem !== credential.clientCertPem;
  };

  return {
    async exchange(request, options, read) {
      let isRenewed = false;
      let isVerifiedAgain = false;
      let resets = 0;
      let throttles = 0;
      const { timeoutMs } = options;
      using deadline =
        timeoutMs === undefined
          ? undefined
          : openDeadline(request.signal, timeoutMs, `no answer within ${timeoutMs / 1000} s`);
      const signal = deadline?.signal ?? request.signal;
      for (;;) {
        const { dispatcher: now, credential, headers } = await prepare();
        try {
          const response = await now.request({
            origin,
            path: basePath + request.path,
            method: request.method as Dispatcher.HttpMethod,
            headers: { accept: 'application/json', ...request.headers, ...headers },
            ...(request.body === undefined ? {} : { body: request.body }),
            ...(signal === undefined ? {} : { signal }),
          });
          const { statusCode } = response;
          // Neither was carried out: it is safe to send any of them again.
          if (statusCode === 401 && !isRenewed && (await canRenew(credential))) {
            isRenewed = true;
            await drop(response);
            continue;
          }
          const retryAfterMs = retryAfterMsOf(response.headers['retry-after']);
          if (
            statusCode === 429 &&
            retryAfterMs !== undefined &&
            options.waitsWhenThrottled &&
            throttles++ < maxThrottles
          ) {
            await drop(response);
            await sleep(Math.min(retryAfterMs, maxRetryAfterMs) * (1 + Math.random() / 4), signal);
            signal?.throwIfAborted();
            continue;
          }
          return await read(response);
        } catch (error) {
          request.signal?.throwIfAborted();
          if (deadline?.signal.aborted) throw unreachableError(access.server, deadline.signal.reason);
          if (!isNetworkError(error)) throw error;
          if (isVerificationError(error) && !isVerifiedAgain && readFiles()) {
            isVerifiedAgain = true;
            continue;
          }
          if (request.method !== 'GET' || !isReset(error) || ++resets >= maxResets) {
            throw unreachableError(access.server, error);
          }
          // The first time it was most likely a kept connection that had just ended.
          if (resets > 1) await sleep(100 * resets * (1 + Math.random()), signal);
        }
      }
    },
    async connectionSettings(refused) {
      if (refused && !(await canRenew(refused))) return undefined;
      const { credential, headers } = await prepare();
      return { headers, credential, certificates: certificatesOf(credential) };
    },
    async close() {
      await Promise.all([...(dispatcher ? [dispatcher] : []), ...retired].map((one) => one.destroy()));
    },
  };
}

function createDispatcher(access: ClusterAccess, certificates: Certificates): Dispatcher {
  const { caPem, clientCertPem, clientKeyPem } = certificates;
  const tls = {
    ...(caPem === undefined ? {} : { ca: caPem }),
    ...(clientCertPem === undefined ? {} : { cert: clientCertPem, key: clientKeyPem ?? '' }),
    ...(access.tlsServerName === undefined ? {} : { servername: access.tlsServerName }),
    rejectUnauthorized: !access.insecureSkipTlsVerify,
    timeout: 10_000,
    // A peer that is gone without a word is noticed by the kernel 30 s after the last byte, plus ten probes of 1 s.
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
  };
  const options = {
    // Watches hold a connection each: HTTP/1.1 keeps one stalled stream from holding back the others.
    allowH2: false,
    headersTimeout: headersTimeoutMs,
    bodyTimeout: 0,
  };
  if (access.proxyUrl === undefined) return new Agent({ ...options, connect: tls });
  const { username, password } = new URL(access.proxyUrl);
  const proxyToken =
    username === ''
      ? {}
      : {
          token: `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`,
        };
  const uri = new URL(access.proxyUrl);
  uri.username = '';
  uri.password = '';
  return new ProxyAgent({ ...options, ...proxyToken, uri: uri.href, requestTls: tls, proxyTunnel: true });
}

async function drop(response: Dispatcher.ResponseData): Promise<void> {
  // Read to its end, so that the connection can be used again; a long body is cut instead.
  await response.body.dump({ limit: 64 * 1024 }).catch(() => {});
}

function isSame(a: Certificates, b: Certificates): boolean {
  return a.caPem === b.caPem && a.clientCertPem === b.clientCertPem && a.clientKeyPem === b.clientKeyPem;
}

/** What undici, sockets and TLS throw; everything else is ours or the caller's. */
function isNetworkError(error: unknown): boolean {
  if (error instanceof AggregateError) return true;
  const code = codeOf(error);
  return code !== undefined && /^(UND_ERR_|E[A-Z_]+$|ERR_|CERT_|UNABLE_|SELF_SIGNED|DEPTH_ZERO|HPE_)/.test(code);
}

function isVerificationError(error: unknown): boolean {
  const code = codeOf(error) ?? '';
  return /^(CERT_|UNABLE_|SELF_SIGNED|DEPTH_ZERO)/.test(code) || /^ERR_SSL_.*ALERT/.test(code);
}

function isReset(error: unknown): boolean {
  return ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'].includes(codeOf(error) ?? '');
}
