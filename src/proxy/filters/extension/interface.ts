/**
 * What a user's filter is: a module whose default export makes it out of its configuration. It runs in a process of its own, without
 * files, network, environment or keys, within a time and a memory limit (docs/extensions.md).
 *
 * ```ts
 * import type { CreateExtension } from 'ambit/extension';
 *
 * const create: CreateExtension = () => ({
 *   onRequest: ({ headers }) => (headers['x-team'] ? undefined : { respond: { status: 400, body: 'x-team is missing' } }),
 * });
 * export default create;
 * ```
 */

/** By name in lower case; several fields of one name are joined by commas, as RFC 9110 allows. */
export type ExtensionHeaders = Readonly<Record<string, string>>;

export interface ExtensionRequest {
  readonly method: string;
  readonly scheme: string;
  /** Host and port as sent. */
  readonly authority: string;
  /** Path and query, normalised. */
  readonly path: string;
  readonly headers: ExtensionHeaders;
  readonly source: {
    /** IP of the client. */
    readonly address: string;
    /** Verified, as in `spiffe://cluster.local/ns/shop/sa/web`; absent: none. */
    readonly principal?: string;
  };
  /** Name of the route rule; absent: none matches. */
  readonly route?: string;
  /** Claims of a verified token; absent: there is none. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** As much as `maxBodyBytes` allows; absent when that is 0 or there is no body. */
  readonly body?: { readonly bytes: Uint8Array; readonly whole: boolean };
}

export interface ExtensionResponse {
  readonly status: number;
  readonly headers: ExtensionHeaders;
}

/** What becomes of a request; nothing: it goes on as it is. */
export interface RequestVerdict {
  /** `null` removes a field. `host` is the authority. */
  readonly headers?: Readonly<Record<string, string | null>>;
  readonly path?: string;
  /** The proxy answers; nobody else sees the request. */
  readonly respond?: {
    /** 200 to 599. */
    readonly status: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
  };
}

export interface ResponseVerdict {
  readonly headers?: Readonly<Record<string, string | null>>;
  /** 200 to 599. */
  readonly status?: number;
}

type Answer<T> = T | undefined | void | Promise<T | undefined | void>;

export interface HttpExtension {
  readonly onRequest?: (request: ExtensionRequest) => Answer<RequestVerdict>;
  readonly onResponse?: (response: ExtensionResponse, request: ExtensionRequest) => Answer<ResponseVerdict>;
}

export type CreateExtension = (config: unknown) => HttpExtension | Promise<HttpExtension>;
