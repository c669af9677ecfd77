/** What a remote call is: a path, and how its messages travel. */

/** `decode` may throw: the call then fails with "internal" and nothing else happens. */
export interface RpcCodec<T> {
  readonly encode: (value: T) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => T;
}

export interface RpcMethod<Request, Response> {
  /** `/<package>.<service>/<method>` */
  readonly path: string;
  readonly request: RpcCodec<Request>;
  readonly response: RpcCodec<Response>;
}

/** Header names in lower case; where a name comes more than once, the last value. */
export type RpcMetadata = ReadonlyMap<string, string>;
