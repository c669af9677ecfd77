/** A client of the Kubernetes API: what every component that has a kubeconfig speaks. */
import type { WebSocket } from 'ws';
import type { KindRef, KubeList, KubeObject } from '../api/index.ts';

export interface ListOptions {
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** At most this many; more come with `continue`. Absent: all in one answer. */
  readonly limit?: number;
  /** `metadata.continue` of the page before. */
  readonly continue?: string;
  readonly signal?: AbortSignal;
}

/** What a server does with fields that it does not know, or that come twice; absent: it warns. */
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

/** Where a call takes these or a signal, the signal alone is short for `{ signal }`. */
export interface WriteOptions {
  /** Everything is done but storing it. */
  readonly dryRun?: boolean;
  readonly fieldManager?: string;
  readonly fieldValidation?: FieldValidation;
  readonly signal?: AbortSignal;
}

/** Merge patch (RFC 7386), strategic merge patch, JSON patch (RFC 6902), server-side apply. */
export type PatchType = 'merge' | 'strategic' | 'json' | 'apply';

/** `apply` needs a `fieldManager`; its patch is the whole intent, as an object with name, and `force` takes over what others own. */
export interface PatchOptions extends WriteOptions {
  readonly type: PatchType;
  readonly subresource?: Subresource;
  readonly force?: boolean;
}

export type Subresource = 'status' | 'scale';

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Orphan' | 'Background' | 'Foreground';
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

export interface RawRequest {
  readonly method: string;
  /** Path with query, from the root: `/api/v1/namespaces/x/pods/y/log?follow=true`. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal;
}

export interface RawResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The caller reads it to its end or destroys it. */
  readonly body: AsyncIterable<Uint8Array> & { text(): Promise<string>; destroy(): void };
}

export interface ServiceAccountToken {
  readonly token: string;
  readonly expiresAtMs: number;
}

export interface TokenRequestOptions {
  readonly audiences: readonly string[];
  readonly expirationSeconds: number;
  readonly boundPod?: { readonly name: string; readonly uid: string };
}

/** What a TokenReview found. */
export type TokenReviewResult =
  | { readonly authenticated: false; readonly reason: string }
  | {
      readonly authenticated: true;
      /** `system:serviceaccount:<namespace>:<name>` */
      readonly username: string;
      readonly groups: readonly string[];
      readonly audiences: readonly string[];
      /** From `authentication.kubernetes.io/pod-name` and `pod-uid`; absent when the token is bound to no pod. */
      readonly pod?: { readonly name: string; readonly uid: string };
    };

/**
 * Every call throws `KubeError` (code `kube.<reason in kebab case>`, HTTP status, the server's Status) when the server
 * refuses, and `kube.unreachable` when there is no answer. Reads go again when their connection is lost; whatever the server
 * answered with 401 goes again once with newer credentials, and with 429 and Retry-After, after that time, up to five times.
 * All but `raw` have a time limit (60 s).
 */
export interface KubeClient {
  get<T extends KubeObject>(kind: KindRef<T>, name: string, namespace?: string, signal?: AbortSignal): Promise<T>;
  list<T extends KubeObject>(kind: KindRef<T>, options?: ListOptions): Promise<KubeList<T>>;
  create<T extends KubeObject>(kind: KindRef<T>, object: T, options?: AbortSignal | WriteOptions): Promise<T>;
  /** With `metadata.resourceVersion`, only if nobody wrote in between (409 `kube.conflict`). */
  replace<T extends KubeObject>(
    kind: KindRef<T>,
    object: T,
    subresource?: Subresource,
    options?: AbortSignal | WriteOptions,
  ): Promise<T>;
  patch<T extends KubeObject>(
    kind: KindRef<T>,
    name: string,
    namespace: string | undefined,
    patch: unknown,
    options: PatchOptions,
  ): Promise<T>;
  /** Resolves when the server accepted it; the object may stay until its finalizers are done. `NotFound` throws. */
  delete<T extends KubeObject>(
    kind: KindRef<T>,
    name: string,
    namespace?: string,
    options?: DeleteOptions,
  ): Promise<void>;
  requestToken(namespace: string, serviceAccount: string, options: TokenRequestOptions): Promise<ServiceAccountToken>;
  reviewToken(token: string, audiences: readonly string[], signal?: AbortSignal): Promise<TokenReviewResult>;
  /** A call by path: logs, watches, kinds without a type. Its body is streamed, and nothing is waited for when throttled. */
  raw(request: RawRequest): Promise<RawResponse>;
  /** Opens a WebSocket to a subresource (`pods/portforward`, later `pods/exec`). */
  openWebSocket(path: string, protocols: readonly string[]): Promise<WebSocket>;
  close(): Promise<void>;
}
