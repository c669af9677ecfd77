/** The KubeClient over undici: one Agent for all calls, HTTP/1.1 keep-alive, TLS as the kubeconfig says. */
import { Agent, type Dispatcher } from 'undici';
import type { KindRef, KubeList, KubeObject } from '../api/index.ts';
import { AmbitError, codeOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { KubeClient, ListOptions, PatchType, RawRequest, RawResponse, TokenReviewResult } from './client.ts';
import { refusalError, unreachableError } from './kube-error.ts';
import type { ClusterAccess } from './kubeconfig.ts';
import { apiVersionOf, resourcePath } from './resource-path.ts';
import { openKubeWebSocket } from './web-socket.ts';

export interface OpenKubeClientOptions {
  readonly log: Log;
  /** Sent as User-Agent; the API server's audit shows it. */
  readonly userAgent?: string;
}

const patchContentTypes: Readonly<Record<PatchType, string>> = {
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
};

/** Does no I/O: the first call connects. Close it to end its connections and whatever still runs on them. */
export function openKubeClient(access: ClusterAccess, options: OpenKubeClientOptions): KubeClient {
  const agent = new Agent({
    connect: {
      ...(access.caPem === undefined ? {} : { ca: access.caPem }),
      ...(access.clientCertPem === undefined ? {} : { cert: access.clientCertPem, key: access.clientKeyPem ?? '' }),
      ...(access.tlsServerName === undefined ? {} : { servername: access.tlsServerName }),
      rejectUnauthorized: !access.insecureSkipTlsVerify,
      timeout: 10_000,
    },
    // Watches hold a connection each: HTTP/1.1 keeps one stalled stream from holding back the others.
    allowH2: false,
    headersTimeout: 60_000,
    bodyTimeout: 0,
  });
  if (access.insecureSkipTlsVerify) options.log.warn('the API server is not verified', { server: access.server });
  const { origin, pathname } = new URL(access.server);
  const basePath = pathname === '/' ? '' : pathname.replace(/\/$/, '');

  const send = async (request: RawRequest): Promise<Dispatcher.ResponseData> => {
    const headers: Record<string, string> = {
      accept: 'application/json',
      'user-agent': options.userAgent ?? 'ambit',
    };
    const token = access.token?.();
    if (token) headers['authorization'] = `Bearer ${token}`;
    let body: string | undefined;
    if (request.body !== undefined) {
      body = JSON.stringify(request.body);
      headers['content-type'] = request.contentType ?? 'application/json';
    }
    const attempt = (): Promise<Dispatcher.ResponseData> =>
      agent.request({
        origin,
        path: basePath + request.path,
        method: request.method as Dispatcher.HttpMethod,
        headers,
        ...(body === undefined ? {} : { body }),
        ...(request.signal === undefined ? {} : { signal: request.signal }),
      });
    try {
      return await attempt();
    } catch (error) {
      request.signal?.throwIfAborted();
      // A kept-alive connection may have ended just as the request left; a read can go again.
      const retry = request.method === 'GET' && ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(codeOf(error) ?? '');
      if (!retry) throw unreachableError(access.server, error);
    }
    try {
      return await attempt();
    } catch (error) {
      request.signal?.throwIfAborted();
      throw unreachableError(access.server, error);
    }
  };

  const readText = async (response: Dispatcher.ResponseData, signal?: AbortSignal): Promise<string> => {
    try {
      return await response.body.text();
    } catch (error) {
      signal?.throwIfAborted();
      throw unreachableError(access.server, error);
    }
  };

  const call = async <T>(action: string, request: RawRequest): Promise<T> => {
    const response = await send(request);
    const text = await readText(response, request.signal);
    if (response.statusCode >= 300) throw refusalError(action, response.statusCode, text);
    try {
      return JSON.parse(text) as T;
    } catch (error) {
      throw new AmbitError(`${action}: the answer is no JSON`, {
        code: 'kube.bad-answer',
        blame: 'upstream',
        cause: error,
      });
    }
  };

  return {
    get: (kind, name, namespace, signal) =>
      call(
        `Cannot get ${describe(kind, name, namespace)}`,
        withSignal({ method: 'GET', path: resourcePath(kind, { namespace, name }) }, signal),
      ),

    list: <T extends KubeObject>(kind: KindRef<T>, listOptions: ListOptions = {}): Promise<KubeList<T>> => {
      const { namespace, labelSelector, fieldSelector, signal } = listOptions;
      const path = resourcePath(kind, { namespace, query: { labelSelector, fieldSelector } });
      return call(`Cannot list ${kind.plural}`, withSignal({ method: 'GET', path }, signal));
    },

    create: <T extends KubeObject>(kind: KindRef<T>, object: T, signal?: AbortSignal): Promise<T> => {
      const { namespace, name, generateName } = object.metadata;
      const path = resourcePath(kind, { namespace: collectionNamespace(kind, namespace) });
      const action = `Cannot create ${describe(kind, name ?? `${generateName ?? ''}*`, namespace)}`;
      return call(action, withSignal({ method: 'POST', path, body: typed(kind, object) }, signal));
    },

    replace: <T extends KubeObject>(
      kind: KindRef<T>,
      object: T,
      subresource?: 'status',
      signal?: AbortSignal,
    ): Promise<T> => {
      const { namespace, name } = object.metadata;
      if (!name) throw new Error(`Cannot replace a ${kind.kind} without a name`);
      const path = resourcePath(kind, { namespace: collectionNamespace(kind, namespace), name, subresource });
      return call(
        `Cannot replace ${describe(kind, name, namespace)}`,
        withSignal({ method: 'PUT', path, body: typed(kind, object) }, signal),
      );
    },

    patch: (kind, name, namespace, patch, { type, subresource, fieldManager, force, signal }) => {
      const path = resourcePath(kind, { namespace, name, subresource, query: { fieldManager, force } });
      const request: RawRequest = { method: 'PATCH', path, body: patch, contentType: patchContentTypes[type] };
      return call(`Cannot patch ${describe(kind, name, namespace)}`, withSignal(request, signal));
    },

    async delete(kind, name, namespace, deleteOptions = {}) {
      const { signal, ...body } = deleteOptions;
      const request: RawRequest = {
        method: 'DELETE',
        path: resourcePath(kind, { namespace, name }),
        body: { apiVersion: 'v1', kind: 'DeleteOptions', ...body },
      };
      await call(`Cannot delete ${describe(kind, name, namespace)}`, withSignal(request, signal));
    },

    async requestToken(namespace, serviceAccount, { audiences, expirationSeconds, boundPod }) {
      const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/serviceaccounts/${encodeURIComponent(serviceAccount)}/token`;
      const body = {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        metadata: {},
        spec: {
          audiences,
          expirationSeconds,
          ...(boundPod ? { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', ...boundPod } } : {}),
        },
      };
      const action = `Cannot get a token for service account "${namespace}/${serviceAccount}"`;
      const answer = await call<{ status?: { token?: string; expirationTimestamp?: string } }>(action, {
        method: 'POST',
        path,
        body,
      });
      const { token, expirationTimestamp } = answer.status ?? {};
      if (!token || !expirationTimestamp) {
        throw new AmbitError(`${action}: the answer holds none`, { code: 'kube.bad-answer', blame: 'upstream' });
      }
      return { token, expiresAtMs: Date.parse(expirationTimestamp) };
    },

    async reviewToken(token, audiences, signal) {
      const body = {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        metadata: {},
        spec: { token, audiences },
      };
      const request: RawRequest = { method: 'POST', path: '/apis/authentication.k8s.io/v1/tokenreviews', body };
      return readTokenReview(await call('Cannot review a token', withSignal(request, signal)), audiences);
    },

    async raw(request) {
      const response = await send(request);
      if (response.statusCode >= 400) {
        const text = await readText(response, request.signal);
        throw refusalError(`Cannot ${request.method} ${request.path.split('?')[0]}`, response.statusCode, text);
      }
      return { status: response.statusCode, headers: response.headers, body: rawBody(response.body) };
    },

    openWebSocket: (path, protocols) => openKubeWebSocket(access, path, protocols),

    async close() {
      await agent.destroy();
    },
  };
}

function withSignal(request: RawRequest, signal: AbortSignal | undefined): RawRequest {
  return signal === undefined ? request : { ...request, signal };
}

function describe(kind: KindRef, name: string, namespace: string | undefined): string {
  return `${kind.kind} "${namespace ? `${namespace}/` : ''}${name}"`;
}

function collectionNamespace(kind: KindRef, namespace: string | undefined): string | undefined {
  if (kind.namespaced && !namespace) throw new Error(`A ${kind.kind} needs metadata.namespace`);
  return namespace;
}

function typed<T extends KubeObject>(kind: KindRef<T>, object: T): T {
  return { ...object, apiVersion: object.apiVersion ?? apiVersionOf(kind), kind: object.kind ?? kind.kind };
}

function rawBody(body: Dispatcher.ResponseData['body']): RawResponse['body'] {
  // Destroying a stream early emits an error that nobody waits for.
  body.on('error', () => {});
  return {
    [Symbol.asyncIterator]: () => body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>,
    text: () => body.text(),
    destroy: () => void body.destroy(),
  };
}

interface TokenReviewAnswer {
  readonly status?: {
    readonly authenticated?: boolean;
    readonly error?: string;
    readonly audiences?: readonly string[];
    readonly user?: {
      readonly username?: string;
      readonly groups?: readonly string[];
      readonly extra?: Readonly<Record<string, readonly string[]>>;
    };
  };
}

/** Fails closed: an answer without user, or for other audiences than asked, authenticates nobody. */
function readTokenReview(answer: TokenReviewAnswer, wanted: readonly string[]): TokenReviewResult {
  const { authenticated, error, audiences = [], user } = answer.status ?? {};
  if (authenticated !== true || !user?.username)
    return { authenticated: false, reason: error ?? 'the token is not valid' };
  if (wanted.length > 0 && !wanted.some((audience) => audiences.includes(audience))) {
    return {
      authenticated: false,
      reason: `the token is not for audience ${wanted.map((a) => `"${a}"`).join(' or ')}`,
    };
  }
  const name = user.extra?.['authentication.kubernetes.io/pod-name']?.[0];
  const uid = user.extra?.['authentication.kubernetes.io/pod-uid']?.[0];
  return {
    authenticated: true,
    username: user.username,
    groups: user.groups ?? [],
    audiences,
    ...(name && uid ? { pod: { name, uid } } : {}),
  };
}
