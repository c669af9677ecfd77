/** A client of the Kubernetes API: what every component that has a kubeconfig speaks. */
import type { WebSocket } from 'ws';
import type { KindRef, KubeList, KubeObject } from '../api/index.ts';

export interface ListOptions {
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly signal?: AbortSignal;
}

/** Merge patch (RFC 7386), strategic merge patch, JSON patch (RFC 6902), server-side apply. */
export type PatchType = 'merge' | 'strategic' | 'json' | 'apply';

export interface PatchOptions {
  readonly type: PatchType;
  readonly subresource?: 'status';
  readonly fieldManager?: string;
  readonly force?: boolean;
  readonly signal?: AbortSignal;
}

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Orphan' | 'Background' | 'Foreground';
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
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
 * refuses, and `kube.unreachable` when there is no answer.
 */
export interface KubeClient {
  get<T extends KubeObject>(kind: KindRef<T>, name: string, namespace?: string, signal?: AbortSignal): Promise<T>;
  list<T extends KubeObject>(kind: KindRef<T>, options?: ListOptions): Promise<KubeList<T>>;
  create<T extends KubeObject>(kind: KindRef<T>, object: T, signal?: AbortSignal): Promise<T>;
  replace<T extends KubeObject>(kind: KindRef<T>, object: T, subresource?: 'status', signal?: AbortSignal): Promise<T>;
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
  raw(request: RawRequest): Promise<RawResponse>;
  /** Opens a WebSocket to a subresource (`pods/portforward`, later `pods/exec`). */
  openWebSocket(path: string, protocols: readonly string[]): Promise<WebSocket>;
  close(): Promise<void>;
}
