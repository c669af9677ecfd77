/** What a proxy and an extension's process tell one another: JSON over the channel that the process is born with. */
import type { ExtensionHeaders, RequestVerdict, ResponseVerdict } from './interface.ts';

/** A request without its bytes: the body is base64. */
export interface WireRequest {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  readonly headers: ExtensionHeaders;
  readonly source: { readonly address: string; readonly principal?: string };
  readonly route?: string;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly body?: { readonly base64: string; readonly whole: boolean };
}

export type ToExtension =
  /** First, once. */
  | { readonly kind: 'load'; readonly source: string; readonly config: string }
  /** To be answered at once. */
  | { readonly kind: 'ping' }
  | { readonly kind: 'request'; readonly id: number; readonly request: WireRequest }
  | {
      readonly kind: 'response';
      readonly id: number;
      readonly status: number;
      readonly headers: ExtensionHeaders;
      readonly request: WireRequest;
    };

export type FromExtension =
  /** The host runs; before anything is loaded. */
  | { readonly kind: 'hello' }
  | { readonly kind: 'loaded'; readonly onRequest: boolean; readonly onResponse: boolean }
  | { readonly kind: 'pong' }
  /** The module cannot be used. */
  | { readonly kind: 'refused'; readonly error: string }
  | { readonly kind: 'verdict'; readonly id: number; readonly verdict: RequestVerdict | ResponseVerdict | null }
  | { readonly kind: 'failed'; readonly id: number; readonly error: string };
