/** Answers that the proxy gives itself: in HTTP, or as a gRPC status to gRPC clients (ambient-l7, 15.1). */
import { encodeGrpcMessage, grpcStatusOfHttp } from '../../http/grpc/index.ts';
import { HeaderList } from '../../http/header-list.ts';
import type { ResponseHead, ServerExchange } from '../../http/message.ts';
import type { LocalReply } from './filter.ts';

/** For callers inside the mesh: why, in words. */
export const reasonHeader = 'x-ambit-reason';

export interface ReplyContext {
  readonly isGrpc: boolean;
  /** Whether the client may be told the reason. */
  readonly tellsReason: boolean;
}

export interface RenderedReply {
  readonly head: ResponseHead;
  readonly body: Uint8Array | undefined;
}

export function renderReply(reply: LocalReply, { isGrpc, tellsReason }: ReplyContext): RenderedReply {
  const headers = new HeaderList();
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : reply.body;
  if (isGrpc) {
    headers.add('content-type', 'application/grpc');
    const own = reply.headers?.get('grpc-status');
    headers.add('grpc-status', own ?? String(grpcStatusOfHttp(reply.status)));
    const told = tellsReason ? reply.reason : '';
    const text = typeof reply.body === 'string' && reply.body !== '' ? reply.body : told;
    if (text !== '') headers.add('grpc-message', encodeGrpcMessage(text));
  } else if (body && body.length > 0) {
    headers.add('content-length', String(body.length));
    headers.add('content-type', reply.contentType ?? 'text/plain');
  } else headers.add('content-length', '0');
  for (const [name, value] of reply.headers ?? []) if (name !== 'grpc-status') headers.add(name, value);
  if (tellsReason && reply.reason !== '') headers.set(reasonHeader, fieldText(reply.reason));
  headers.set('server', 'istio-envoy');
  const head = { status: isGrpc ? 200 : reply.status, headers };
  return { head, body: isGrpc || body?.length === 0 ? undefined : body };
}

export function sendReply(exchange: ServerExchange, head: ResponseHead, body: Uint8Array | undefined): void {
  exchange.respond(head, body === undefined);
  if (body === undefined) return;
  exchange.write(body);
  exchange.end();
}

/** What a header field may hold: anything else becomes a question mark. */
export function fieldText(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 1024);
}
