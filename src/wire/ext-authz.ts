/** The external authorizer's one call, `envoy.service.auth.v3.Authorization/Check`. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type AttributeContext_PeerSchema,
  type AttributeContext_RequestSchema,
  CheckRequestSchema,
  CheckResponseSchema,
  type DeniedHttpResponse,
  type HeaderValueOption,
  HeaderValueOption_HeaderAppendAction as AppendAction,
} from '../gen/ext_authz_pb.ts';
import { wireError } from './errors.ts';
import { decodeHeader, encodeHeaderText } from './header-fields.ts';
import { parseMessage, serializeMessage } from './message.ts';

export interface CheckPeer {
  readonly address: string;
  readonly port: number;
  /** SPIFFE id; "" without one. */
  readonly principal: string;
}

export interface CheckAttributes {
  readonly source: CheckPeer;
  readonly destination: CheckPeer;
  readonly sni: string;
  /** Undefined: of a connection that is no HTTP. */
  readonly request: CheckedRequest | undefined;
}

export interface CheckedRequest {
  readonly timeMs: number;
  readonly id: string;
  readonly method: string;
  /** Pseudo fields included, values of one name joined. */
  readonly headers: ReadonlyMap<string, string>;
  readonly path: string;
  readonly host: string;
  readonly scheme: string;
  /** Of the body; -1: unknown. */
  readonly size: number;
  /** `HTTP/1.1`. */
  readonly protocol: string;
  readonly body: { readonly bytes: Uint8Array; readonly asBytes: boolean } | undefined;
}

export interface HeaderMutation {
  readonly name: string;
  readonly value: string;
  readonly how: 'append' | 'add-if-absent' | 'set' | 'set-if-present';
}

export type CheckAnswer =
  | {
      readonly kind: 'allowed';
      readonly requestHeaders: readonly HeaderMutation[];
      readonly requestHeadersToRemove: readonly string[];
      readonly responseHeaders: readonly HeaderMutation[];
      readonly query: {
        readonly set: readonly (readonly [name: string, value: string])[];
        readonly remove: readonly string[];
      };
    }
  | {
      readonly kind: 'denied';
      /** 0: not said. */
      readonly status: number;
      readonly headers: readonly HeaderMutation[];
      readonly body: string;
      /** For the log. */
      readonly message: string;
    }
  /** The authorizer could not decide. */
  | { readonly kind: 'failed'; readonly message: string };

const statusOk = 0;

const actions: Readonly<Record<AppendAction, HeaderMutation['how'] | undefined>> = {
  // Also what stands there when nothing is said.
  [AppendAction.APPEND_IF_EXISTS_OR_ADD]: undefined,
  [AppendAction.ADD_IF_ABSENT]: 'add-if-absent',
  [AppendAction.OVERWRITE_IF_EXISTS_OR_ADD]: 'set',
  [AppendAction.OVERWRITE_IF_EXISTS]: 'set-if-present',
};

export const checkMethod: {
  readonly path: string;
  encodeRequest(attributes: CheckAttributes): Uint8Array;
  /** Throws `wire.malformed`. */
  decodeResponse(bytes: Uint8Array): CheckAnswer;
} = {
  path: '/envoy.service.auth.v3.Authorization/Check',

  encodeRequest(attributes) {
    const { source, destination, request, sni } = attributes;
    return serializeMessage(CheckRequestSchema, {
      attributes: {
        source: encodePeer(source),
        destination: encodePeer(destination),
        ...(request === undefined ? {} : { request: encodeRequest(request) }),
        ...(sni === '' ? {} : { tlsSession: { sni } }),
      },
    });
  },

  decodeResponse(bytes) {
    const { status, httpResponse } = parseMessage(CheckResponseSchema, bytes);
    const message = status?.message ?? '';
    if (httpResponse.case === 'errorResponse') {
      return { kind: 'failed', message: message || httpResponse.value.body || 'it answered with an error' };
    }
    if ((status?.code ?? statusOk) !== statusOk) {
      return decodeDenied(httpResponse.case === 'deniedResponse' ? httpResponse.value : undefined, message);
    }
    const ok = httpResponse.case === 'okResponse' ? httpResponse.value : undefined;
    return {
      kind: 'allowed',
      requestHeaders: decodeMutations('ok_response.headers', ok?.headers, 'set'),
      requestHeadersToRemove: (ok?.headersToRemove ?? []).map((name) => name.toLowerCase()),
      responseHeaders: decodeMutations('ok_response.response_headers_to_add', ok?.responseHeadersToAdd, 'append'),
      query: {
        set: (ok?.queryParametersToSet ?? []).map(({ key, value }) => [key, value] as const),
        remove: ok?.queryParametersToRemove ?? [],
      },
    };
  },
};

function encodeRequest(request: CheckedRequest): MessageInitShape<typeof AttributeContext_RequestSchema> {
  const { timeMs, id, method, headers, path, host, scheme, size, protocol, body } = request;
  const query = path.indexOf('?');
  return {
    time: { seconds: BigInt(Math.floor(timeMs / 1000)), nanos: Math.floor(timeMs % 1000) * 1_000_000 },
    http: {
      id,
      method,
      headers: Object.fromEntries([...headers].map(([name, value]) => [name, encodeHeaderText(value)])),
      path: encodeHeaderText(path),
      host: encodeHeaderText(host),
      scheme,
      query: query < 0 ? '' : encodeHeaderText(path.slice(query + 1)),
      size: BigInt(size),
      protocol,
      ...(body === undefined
        ? {}
        : body.asBytes
          ? { rawBody: body.bytes }
          : { body: Buffer.from(body.bytes).toString('utf8') }),
    },
  };
}

function encodePeer({ address, port, principal }: CheckPeer): MessageInitShape<typeof AttributeContext_PeerSchema> {
  return { address: { socketAddress: { address, portValue: port } }, principal };
}

function decodeDenied(denied: DeniedHttpResponse | undefined, message: string): CheckAnswer {
  const status = denied?.status?.code ?? 0;
  if (status !== 0 && (status < 200 || status > 599)) {
    throw wireError('malformed', 'denied_response.status.code', `${status} is no final HTTP status`);
  }
  const headers = decodeMutations('denied_response.headers', denied?.headers, 'append');
  return { kind: 'denied', status, headers, body: denied?.body ?? '', message };
}

/** `otherwise`: what a mutation does that does not say. */
function decodeMutations(
  field: string,
  options: readonly HeaderValueOption[] | undefined,
  otherwise: 'append' | 'set',
): HeaderMutation[] {
  return (options ?? []).map(({ header, append, appendAction }, i) => {
    const [name, value] = decodeHeader(`${field}[${i}]`, header);
    const how = append === undefined ? (actions[appendAction] ?? otherwise) : append ? 'append' : 'set';
    return { name, value, how };
  });
}
