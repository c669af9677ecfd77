/** HTTP in and out of the API server: bounded bodies, JSON or YAML, negotiated answers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gzip } from 'node:zlib';
import { messageOf } from '../../lib/errors.ts';
import { decodeProtobufBody, protobufMediaType } from './protobuf-body.ts';
import { badRequest, notAcceptable, StatusError, statusOf, tooLarge, unsupportedMediaType } from './status-error.ts';
import { parseJson, parseYaml } from './structured-body.ts';

/** Kubernetes' limit of a request body. */
export const maxBodyBytes: number = 3 * 1024 * 1024;

/** From here on answers are compressed for clients that ask, as Kubernetes does. */
const gzipBytes = 128 * 1024;

/** What form of answer the client asked for. */
export type AnswerForm = 'object' | 'table' | 'metadata';

/** The whole body. Throws 413 beyond the limit, and 400 when the client goes away. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) throw tooLarge(maxBodyBytes);
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxBodyBytes) break;
      chunks.push(chunk);
    }
  } catch (error) {
    throw badRequest(`Cannot read the request body: ${messageOf(error)}`);
  }
  if (length > maxBodyBytes) throw tooLarge(maxBodyBytes);
  return Buffer.concat(chunks);
}

/** `application/json` of `Application/JSON; charset=utf-8`; "" when absent. */
export function mediaTypeOf(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** A body that must hold one JSON or YAML object. Throws 400, or 415 for other media types. */
export function parseObjectBody(body: Buffer, mediaType: string): Record<string, unknown> {
  const value = parseBody(body, mediaType);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw badRequest('the object provided is unrecognized (must be a JSON or YAML object)');
  }
  return value as Record<string, unknown>;
}

function parseBody(body: Buffer, mediaType: string): unknown {
  try {
    switch (mediaType) {
      case '':
      case 'application/json':
      case 'application/json-patch+json':
      case 'application/merge-patch+json':
      case 'application/strategic-merge-patch+json':
        return parseJson(body);
      case protobufMediaType:
        return decodeProtobufBody(body);
      case 'application/yaml':
      case 'application/x-yaml':
      case 'text/yaml':
        return parseYaml(body, { allowRepeatedKeys: false });
      default:
        break;
    }
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw badRequest(
      `the object provided is unrecognized (must be of type ${mediaType || 'application/json'}): ${messageOf(error)}`,
    );
  }
  throw unsupportedMediaType(
    'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf',
  );
}

const acceptable: ReadonlySet<string> = new Set(['', '*/*', 'application/*', 'application/json']);

/** The form of the first acceptable media type; protobuf is never one. Throws 406 when only others are accepted. */
export function answerFormOf(accept: string | undefined): AnswerForm {
  const entries = (accept ?? '').split(',');
  if (accept && !entries.some((entry) => acceptable.has(entry.split(';', 1)[0]?.trim().toLowerCase() ?? ''))) {
    throw notAcceptable();
  }
  for (const entry of entries) {
    const [type = '', ...parameters] = entry.split(';').map((part) => part.trim());
    if (type !== 'application/json') continue;
    const as = parameters.find((parameter) => parameter.startsWith('as='))?.slice(3);
    const isMetaV1 = parameters.includes('g=meta.k8s.io') && parameters.includes('v=v1');
    if (as === undefined) return 'object';
    if (as === 'Table' && isMetaV1) return 'table';
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return 'metadata';
  }
  return 'object';
}

export function sendJson(response: ServerResponse, code: number, body: unknown): void {
  sendJsonText(response, code, JSON.stringify(body));
}

export function sendJsonText(response: ServerResponse, code: number, text: string): void {
  const bytes = Buffer.from(`${text}\n`);
  const headers = { 'content-type': 'application/json', 'cache-control': 'no-cache, private' };
  const wantsGzip = /\bgzip\b/.test(String(response.req.headers['accept-encoding'] ?? ''));
  if (bytes.length < gzipBytes || !wantsGzip) {
    response.writeHead(code, { ...headers, 'content-length': bytes.length });
    response.end(bytes);
    return;
  }
  gzip(bytes, { level: 1 }, (error, compressed) => {
    if (response.destroyed) return;
    const body = error ? bytes : compressed;
    response.writeHead(code, {
      ...headers,
      ...(!error && { 'content-encoding': 'gzip' }),
      vary: 'Accept-Encoding',
      'content-length': body.length,
    });
    response.end(body);
  });
}

/** Answers with the Status of what was thrown; closes the connection where the request may have been left half read. */
export function sendError(response: ServerResponse, thrown: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const status = statusOf(thrown);
  if (!response.req.complete) response.setHeader('connection', 'close');
  if (status.details?.retryAfterSeconds) response.setHeader('retry-after', String(status.details.retryAfterSeconds));
  if (status.code === 401) response.setHeader('www-authenticate', 'Bearer realm="kubernetes"');
  sendJson(response, status.code ?? 500, status);
}

/** Adds a `Warning: 299` header (RFC 7234 5.5), which kubectl prints. */
export function addWarning(response: ServerResponse, message: string): void {
  const text = message.replaceAll(/[^\t\x20-\x7e]/g, '?').replaceAll(/[\\"]/g, String.raw`\$&`);
  const before = response.getHeader('warning');
  const list = Array.isArray(before) ? before : before === undefined ? [] : [String(before)];
  if (list.length < 32) response.setHeader('warning', [...list, `299 - "${text}"`]);
}
