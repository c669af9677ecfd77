/** A service that the proxy calls, played by the test: for tests of filters. */
import { writeResult } from '../../net/channel.ts';
import { HeaderList } from '../../http/header-list.ts';
import type { RequestHead } from '../../http/message.ts';
import type { UpstreamFailure, UpstreamReader, UpstreamRequest, Upstreams } from '../upstream/upstream.ts';

export interface ServedRequest {
  readonly backend: string;
  readonly head: RequestHead;
  readonly body: Buffer;
}

/** `never`: no answer ever. */
export type ServedAnswer =
  | {
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>> | HeaderList;
      readonly body?: string | Uint8Array;
      readonly trailers?: Readonly<Record<string, string>>;
    }
  | { readonly failure: UpstreamFailure }
  | 'never';

export interface TestService {
  readonly upstreams: Upstreams;
  readonly requests: ServedRequest[];
  /** Calls that were given up, and why. */
  readonly resets: string[];
}

/** `answer` is called once a request has come whole, at the end of the turn. */
export function openTestService(answer: (request: ServedRequest) => ServedAnswer): TestService {
  const requests: ServedRequest[] = [];
  const resets: string[] = [];
  const unexpected = (): never => {
    throw new Error('Only calls are expected here');
  };
  return {
    requests,
    resets,
    upstreams: {
      open(backend, { head, ends }: UpstreamRequest, reader) {
        const chunks: Buffer[] = [];
        let over = false;
        const finish = (): void => {
          queueMicrotask(() => {
            if (over) return;
            const request = { backend, head, body: Buffer.concat(chunks) };
            requests.push(request);
            over = tell(reader, answer(request));
          });
        };
        if (ends) finish();
        return {
          write(bytes) {
            chunks.push(Buffer.from(bytes));
            return writeResult.done;
          },
          end: finish,
          credit() {},
          reset(reason) {
            if (over) return;
            over = true;
            resets.push(reason ?? 'given up');
            queueMicrotask(() => reader.onClose({ kind: 'local-reset', flag: '', message: 'given up', sent: 'maybe' }));
          },
        };
      },
      apply: unexpected,
      connect: unexpected,
      describe: unexpected,
      startRetry: unexpected,
      drain: unexpected,
      close: unexpected,
    },
  };
}

/** Whether there was an answer. */
function tell(reader: UpstreamReader, answer: ServedAnswer): boolean {
  if (answer === 'never') return false;
  if ('failure' in answer) {
    reader.onClose(answer.failure);
    return true;
  }
  reader.onResponse({ status: answer.status, headers: HeaderList.from(answer.headers ?? {}) }, false);
  if (answer.body !== undefined) reader.onData(Buffer.from(answer.body));
  reader.onEnd(answer.trailers && HeaderList.from(answer.trailers));
  reader.onClose();
  return true;
}
