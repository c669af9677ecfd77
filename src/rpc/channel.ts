/** A gRPC client over TLS. Root file and token file are read again for every call, so that rotation needs no restart. */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { checkServerIdentity, getCACertificates } from 'node:tls';
import { Client, ChannelCredentials, Metadata, type ClientOptions } from '@grpc/grpc-js';
import { AmbitError, messageOf } from '../lib/errors.ts';
import { openClientStream, type RpcClientStream, type RpcClientStreamReader } from './client-stream.ts';
import type { RpcMethod } from './method.ts';
import { fromGrpcStatus, rpcError } from './status.ts';

export interface RpcChannelOptions {
  /** `https://host:port` or `host:port`. */
  readonly address: string;
  /** The name that the server's certificate must carry; default: the address' host. */
  readonly tlsServerName?: string;
  /** The roots that the server must chain to: a PEM file, PEM itself, or `SYSTEM` for those of this machine. */
  readonly rootCertPath: string;
  /** File of a bearer token, or the token itself (a JWT: three parts with dots between them). */
  readonly tokenPath?: string;
  /** Sent with every call; names in lower case. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Default 200 MiB. */
  readonly maxReceiveBytes?: number;
}

export interface RpcChannel {
  /** Rejects with `rpc.<status>`. */
  unary<Request, Response>(
    method: RpcMethod<Request, Response>,
    request: Request,
    options: { readonly signal: AbortSignal; readonly timeoutMs: number },
  ): Promise<Response>;
  /**
   * Resolves as soon as the stream can be written to, connected or not. Rejects with `rpc.<status>` when a file cannot
   * be read; any later failure goes to the reader.
   */
  stream<Request, Response>(
    method: RpcMethod<Request, Response>,
    reader: RpcClientStreamReader<Response>,
  ): Promise<RpcClientStream<Request>>;
  /** Calls after this one dial anew at once, whatever back-off is under way. */
  reset(): void;
  close(): void;
}

const mebibyte = 1024 * 1024;

export function createRpcChannel(options: RpcChannelOptions): RpcChannel {
  const target = parseTarget(options.address);
  let current: { readonly rootsPem: string; readonly client: Client } | undefined;

  const drop = (): void => {
    current?.client.close();
    current = undefined;
  };
  const open = async (): Promise<Client> => {
    const rootsPem = await readRoots(options.rootCertPath);
    if (current?.rootsPem === rootsPem) return current.client;
    drop();
    const client = openClient(target, rootsPem, options);
    current = { rootsPem, client };
    return client;
  };

  return {
    async unary(method, request, { signal, timeoutMs }) {
      const metadata = await callMetadata(options);
      const client = await open();
      if (signal.aborted) throw rpcError('cancelled', `Cannot call ${target.host}: given up`);
      return new Promise((resolve, reject) => {
        const call = client.makeUnaryRequest(
          method.path,
          (value: typeof request) => Buffer.from(method.request.encode(value)),
          (bytes: Buffer) => method.response.decode(bytes),
          request,
          metadata,
          { deadline: Date.now() + timeoutMs },
          (error, response) => {
            signal.removeEventListener('abort', cancel);
            if (response !== undefined && !error) return resolve(response);
            const failure = fromGrpcStatus(`call ${target.host}`, error?.code ?? 2, error?.details ?? 'no answer');
            // A connection that failed is dialled anew by the next call, not after grpc-js' own back-off.
            if (failure.code === 'rpc.unavailable' && current?.client === client) drop();
            reject(failure);
          },
        );
        const cancel = (): void => call.cancel();
        signal.addEventListener('abort', cancel, { once: true });
      });
    },
    async stream(method, reader) {
      const metadata = await callMetadata(options);
      return openClientStream({ client: await open(), target: target.host, method, metadata, reader });
    },
    reset: drop,
    close: drop,
  };
}

interface Target {
  readonly host: string;
  readonly port: number;
}

/** Throws `rpc.invalid-address`. */
function parseTarget(address: string): Target {
  const url = URL.parse(address.includes('://') ? address : `https://${address}`);
  if (!url || url.protocol !== 'https:' || url.hostname === '') {
    throw new AmbitError(`Cannot use ${JSON.stringify(address)}: expected https://host:port`, {
      code: 'rpc.invalid-address',
      blame: 'internal',
    });
  }
  return { host: url.hostname.replaceAll(/^\[|\]$/g, ''), port: url.port === '' ? 443 : Number(url.port) };
}

function openClient(target: Target, rootsPem: string, options: RpcChannelOptions): Client {
  const serverName = options.tlsServerName ?? target.host;
  const channelOptions: ClientOptions = {
    // An address is no server name (RFC 6066), and TLS refuses to send one; it is compared all the same.
    'grpc.ssl_target_name_override': isIP(serverName) === 0 ? serverName : 'address.invalid',
    'grpc.default_authority': serverName,
    'grpc.max_receive_message_length': options.maxReceiveBytes ?? 200 * mebibyte,
    'grpc.max_send_message_length': -1,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.enable_retries': 0,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 5_000,
  };
  const host = target.host.includes(':') ? `[${target.host}]` : target.host;
  const credentials = ChannelCredentials.createSsl(Buffer.from(rootsPem), null, null, {
    checkServerIdentity: (_host, certificate) => checkServerIdentity(serverName, certificate),
  });
  return new Client(`dns:${host}:${target.port}`, credentials, channelOptions);
}

async function callMetadata(options: RpcChannelOptions): Promise<Metadata> {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(options.metadata ?? {})) metadata.set(name, value);
  if (options.tokenPath !== undefined) {
    const { tokenPath } = options;
    const token = isToken(tokenPath) ? tokenPath : (await readText('the bearer token', tokenPath)).trim();
    metadata.set('authorization', `Bearer ${token}`);
  }
  return metadata;
}

async function readRoots(source: string): Promise<string> {
  if (source === 'SYSTEM') return getCACertificates('system').join('\n');
  if (source.includes('-----BEGIN CERTIFICATE-----')) return source;
  return readText('root certificates', source);
}

function isToken(text: string): boolean {
  return /^ey[\w-]+\.[\w-]+\.[\w-]+$/.test(text);
}

async function readText(what: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw rpcError('unavailable', `Cannot read ${what} from ${path}: ${messageOf(error)}`, error);
  }
}
