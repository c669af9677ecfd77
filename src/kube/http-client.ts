/** The KubeClient over HTTP/1.1: verbs, their paths and bodies; `transport.ts` carries them. */
import type { Dispatcher } from 'undici';
import type { KindRef, KubeList, KubeObject } from '../api/index.ts';
import { AmbitError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { ClusterAccess, Credential } from './access.ts';
import type {
  KubeClient,
  ListOptions,
  PatchType,
  RawRequest,
  RawResponse,
  Subresource,
  WriteOptions,
} from './client.ts';
import { isKubeError, refusalError } from './kube-error.ts';
import { apiVersionOf, resourcePath } from './resource-path.ts';
import { readTokenReview } from './token-review.ts';
import { openTransport, type TransportRequest } from './transport.ts';
import { openKubeWebSocket } from './web-socket.ts';

export interface OpenKubeClientOptions {
  readonly log: Log;
  /** Sent as User-Agent; the API server's audit shows it. */
  readonly userAgent?: string;
  /** For all calls but `raw`; default 60 s, what an API server gives itself. */
  readonly requestTimeoutMs?: number;
  /** An answer that is longer is refused; default 256 MiB. Lists in pages stay far below. */
  readonly maxAnswerBytes?: number;
}

const patchContentTypes: Readonly<Record<PatchType, string>> = {
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
  // JSON is YAML.
  apply: 'application/apply-patch+yaml',
};

/** Does no I/O: the first call connects. Close it to end its connections and whatever still runs on them. */
export function openKubeClient(access: ClusterAccess, options: OpenKubeClientOptions): KubeClient {
  const { log, userAgent, requestTimeoutMs = 60_000, maxAnswerBytes = 256 * 1024 * 1024 } = options;
  const transport = openTransport(access, { log, userAgent });
  if (access.insecureSkipTlsVerify) log.warn('the API server is not verified', { server: access.server });

  const call = <T>(action: string, request: RawRequest): Promise<T> =>
    transport.exchange(
      encode(request),
      { timeoutMs: requestTimeoutMs, waitsWhenThrottled: true },
      async (response): Promise<T> => {
        const text = await readText(response, action, maxAnswerBytes);
        if (response.statusCode >= 300) {
          throw refusalError(action, response.statusCode, text, response.headers['retry-after']);
        }
        try {
          return JSON.parse(text) as T;
        } catch (error) {
          throw badAnswer(`${action}: the answer is no JSON`, error);
        }
      },
    );

  return {
    get: (kind, name, namespace, signal) =>
      call(
        `Cannot get ${describe(kind, name, namespace)}`,
        withSignal({ method: 'GET', path: resourcePath(kind, { namespace, name }) }, signal),
      ),

    list: <T extends KubeObject>(kind: KindRef<T>, listOptions: ListOptions = {}): Promise<KubeList<T>> => {
      const { namespace, signal, ...query } = listOptions;
      const path = resourcePath(kind, { namespace, query });
      return call(`Cannot list ${kind.plural}`, withSignal({ method: 'GET', path }, signal));
    },

    create: <T extends KubeObject>(
      kind: KindRef<T>,
      object: T,
      writeOptions?: AbortSignal | WriteOptions,
    ): Promise<T> => {
      const { namespace, name, generateName } = object.metadata;
      const { query, signal } = readWriteOptions(writeOptions);
      const path = resourcePath(kind, { namespace: collectionNamespace(kind, namespace), query });
      const action = `Cannot create ${describe(kind, name ?? `${generateName ?? ''}*`, namespace)}`;
      return call(action, withSignal({ method: 'POST', path, body: typed(kind, object) }, signal));
    },

    replace: <T extends KubeObject>(
      kind: KindRef<T>,
      object: T,
      subresource?: Subresource,
      writeOptions?: AbortSignal | WriteOptions,
    ): Promise<T> => {
      const { namespace, name } = object.metadata;
      if (!name) throw new Error(`Cannot replace a ${kind.kind} without a name`);
      const { query, signal } = readWriteOptions(writeOptions);
      const path = resourcePath(kind, { namespace: collectionNamespace(kind, namespace), name, subresource, query });
      return call(
        `Cannot replace ${describe(kind, name, namespace)}`,
        withSignal({ method: 'PUT', path, body: typed(kind, object) }, signal),
      );
    },

    patch: (kind, name, namespace, patch, { type, subresource, force, ...writeOptions }) => {
      if (type === 'apply' && !writeOptions.fieldManager) throw new Error('Server-side apply needs a fieldManager');
      const { query, signal } = readWriteOptions(writeOptions);
      const path = resourcePath(kind, { namespace, name, subresource, query: { ...query, force } });
      // An intent to apply names its type, as a manifest does.
      const body = type === 'apply' ? typed(kind, patch as KubeObject) : patch;
      const request: RawRequest = { method: 'PATCH', path, body, contentType: patchContentTypes[type] };
      return call(`Cannot patch ${describe(kind, name, namespace)}`, withSignal(request, signal));
    },

    async delete(kind, name, namespace, deleteOptions = {}) {
      const { signal, dryRun, ...body } = deleteOptions;
      const request: RawRequest = {
        method: 'DELETE',
        path: resourcePath(kind, { namespace, name }),
        body: { apiVersion: 'v1', kind: 'DeleteOptions', ...body, ...(dryRun ? { dryRun: ['All'] } : {}) },
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
      if (!token || !expirationTimestamp) throw badAnswer(`${action}: the answer holds none`);
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

    raw: (request) =>
      transport.exchange(encode(request), { waitsWhenThrottled: false }, async (response): Promise<RawResponse> => {
        if (response.statusCode >= 400) {
          const action = `Cannot ${request.method} ${request.path.split('?')[0]}`;
          const text = await readText(response, action, maxAnswerBytes);
          throw refusalError(action, response.statusCode, text, response.headers['retry-after']);
        }
        return { status: response.statusCode, headers: response.headers, body: rawBody(response.body) };
      }),

    async openWebSocket(path, protocols) {
      const open = async (refused?: Credential): ReturnType<KubeClient['openWebSocket']> => {
        const settings = await transport.connectionSettings(refused);
        if (!settings) throw new KubeCredentialRefused();
        try {
          return await openKubeWebSocket(access, settings, path, protocols);
        } catch (error) {
          if (refused || !isKubeError(error) || error.status !== 401) throw error;
          return open(settings.credential).catch((again: unknown) => {
            throw again instanceof KubeCredentialRefused ? error : again;
          });
        }
      };
      return open();
    },

    close: () => transport.close(),
  };
}

/** There are no newer credentials to try; never leaves this file. */
class KubeCredentialRefused extends Error {}

function encode({ method, path, body, contentType, signal }: RawRequest): TransportRequest {
  return {
    method,
    path,
    signal,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': contentType ?? 'application/json' } }),
  };
}

function readWriteOptions(options: AbortSignal | WriteOptions | undefined): {
  readonly query: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal | undefined;
} {
  if (options === undefined || options instanceof AbortSignal) return { query: {}, signal: options };
  const { dryRun, fieldManager, fieldValidation, signal } = options;
  return { query: { fieldManager, fieldValidation, dryRun: dryRun ? 'All' : undefined }, signal };
}

/** The body as text; past `maxBytes` it is cut off and refused. */
async function readText(response: Dispatcher.ResponseData, action: string, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw badAnswer(`${action}: the answer is longer than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function badAnswer(message: string, cause?: unknown): AmbitError {
  return new AmbitError(message, { code: 'kube.bad-answer', blame: 'upstream', cause });
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
