/** Calls of the proxy's own, for a request or a connection that it handles: to authorizers and rate limit services, over its own upstream. */
import type { Backend } from '../api/l7/index.ts';
import type { Call, OpenExchange } from '../http/call.ts';
import type { HeaderList } from '../http/header-list.ts';
import { type ClientExchangeReader, ExchangeError, type ExchangeFailure, type ResponseHead } from '../http/message.ts';
import { codeOf } from '../lib/errors.ts';
import type { HttpRun } from './engine/http-run.ts';
import type { UpstreamClient, UpstreamFailure, UpstreamReader, Upstreams } from './upstream/upstream.ts';

/** `client`: whose request it is about, for backends that choose by it. */
export function exchangesOf(upstreams: Upstreams, backend: string, client: UpstreamClient): OpenExchange {
  return (head, ends, reader) => {
    const exchange = upstreams.open(
      backend,
      { head, ends, client, attempt: 0, isRetry: false },
      new CallReader(reader),
    );
    return {
      write: (bytes) => exchange.write(bytes),
      end: (trailers) => exchange.end(trailers),
      credit: (byteCount) => exchange.credit(byteCount),
      reset: (error) => exchange.reset(codeOf(error) === 'http.call-timeout' ? 'timeout' : undefined),
    };
  };
}

/** The client of a run, or of a connection, as the upstream asks for it. */
export function clientOf({ connection }: Pick<HttpRun, 'connection'>): UpstreamClient {
  const { sourceAddress, sourcePort, sourceIdentity, destinationAddress, destinationPort } = connection;
  return {
    address: sourceAddress,
    port: sourcePort,
    identity: sourceIdentity,
    destination: { address: destinationAddress, port: destinationPort },
  };
}

/** The `:authority` of calls to a backend. */
export function authorityOf(backend: Backend): string {
  return `${backend.hostname}:${backend.port}`;
}

/** Calls once more where the first call reached nobody, as when a connection went away in that moment. */
export function callAgain<Answer>(start: () => Call<Answer>): Call<Answer> {
  let current = start();
  let isCancelled = false;
  const answer = current.answer.catch((error: unknown) => {
    if (isCancelled || !isUnsent(error)) throw error;
    current = start();
    return current.answer;
  });
  return {
    answer,
    cancel() {
      isCancelled = true;
      current.cancel();
    },
  };
}

/** A connection that went away with the request on it. No host at all, or one that refuses connections, is no reason to ask again. */
function isUnsent(error: unknown): boolean {
  const cause = error instanceof ExchangeError || !(error instanceof Error) ? error : error.cause;
  if (!(cause instanceof ExchangeError) || cause.sent !== 'no') return false;
  return !(cause.cause instanceof UpstreamFailed) || cause.cause.kind === 'refused';
}

class UpstreamFailed extends Error {
  readonly kind: UpstreamFailure['kind'];

  constructor({ kind, message }: UpstreamFailure) {
    super(message);
    this.kind = kind;
  }
}

class CallReader implements UpstreamReader {
  readonly #reader: ClientExchangeReader;

  constructor(reader: ClientExchangeReader) {
    this.#reader = reader;
  }

  onHost(): void {}

  onInformational(head: ResponseHead): void {
    this.#reader.onInformational(head);
  }

  onResponse(head: ResponseHead, ends: boolean): void {
    this.#reader.onResponse(head, ends);
  }

  onData(bytes: Uint8Array): void {
    this.#reader.onData(bytes);
  }

  onEnd(trailers?: HeaderList): void {
    this.#reader.onEnd(trailers);
  }

  onDrain(): void {
    this.#reader.onDrain();
  }

  onClose(failure?: UpstreamFailure): void {
    this.#reader.onClose(
      failure &&
        new ExchangeError(reasons[failure.kind], failure.message, {
          sent: failure.sent,
          cause: new UpstreamFailed(failure),
        }),
    );
  }
}

const reasons: Readonly<Record<UpstreamFailure['kind'], ExchangeFailure>> = {
  'no-backend': 'refused',
  'no-healthy-host': 'refused',
  overflow: 'refused',
  'name-not-resolved': 'refused',
  'connect-failure': 'refused',
  'connect-timeout': 'refused',
  'connection-termination': 'connection-termination',
  'remote-reset': 'remote-reset',
  refused: 'refused',
  'protocol-error': 'protocol-error',
  'local-reset': 'local-reset',
};
