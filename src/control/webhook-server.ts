/** The admission webhook: what no schema can say about Istio's kinds, asked by the API server before it stores an object. */
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { viewOf } from '../api/field-view.ts';
import type { AdmissionRequest, AdmissionResponse, AdmissionReview } from '../api/admission.ts';
import { validateIstio } from '../api/validation/istio/index.ts';
import { AmbitError, messageOf } from '../lib/errors.ts';
import { formatHostPort } from '../lib/ip.ts';
import type { Log } from '../lib/log.ts';
import type { ControlMetrics } from './monitoring.ts';
import type { MeshJudgement } from './policy-admission.ts';

export interface WebhookServerOptions {
  readonly host: string;
  readonly port: number;
  readonly certificate: { readonly chainPem: string; readonly keyPem: string };
  /** Asked after the object itself was found right. */
  readonly inMesh?: MeshJudgement;
  /** What else to tell whoever writes an object that is let through. */
  readonly warn?: (request: AdmissionRequest) => readonly string[];
  readonly metrics: ControlMetrics;
  readonly log: Log;
}

export interface WebhookServer {
  readonly port: number;
  /** New connections see the new certificate. */
  setCertificate(certificate: WebhookServerOptions['certificate']): void;
  close(): Promise<void>;
}

/** An object of 3 MiB (the API server's limit), twice (the old one, too), and what is around them. */
const maxBodyBytes = 7 * 1024 * 1024;

/** `POST /validate` and `GET /healthz`. Throws `control.listen-failed`. */
export async function startWebhookServer(options: WebhookServerOptions): Promise<WebhookServer> {
  const { host, port, certificate } = options;
  const server = createServer(
    { key: certificate.keyPem, cert: certificate.chainPem, minVersion: 'TLSv1.2', requestTimeout: 30_000 },
    (request, response) => void answer(request, response, options),
  );
  await listen(server, host, port);
  return {
    port: (server.address() as AddressInfo).port,
    setCertificate: ({ keyPem, chainPem }) => server.setSecureContext({ key: keyPem, cert: chainPem }),
    async close() {
      server.closeIdleConnections();
      const closed = new Promise((resolve) => server.close(resolve));
      setTimeout(() => server.closeAllConnections(), 500).unref();
      await closed;
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { metrics, log, inMesh, warn }: WebhookServerOptions,
): Promise<void> {
  const send = (status: number, body: string, type = 'text/plain; charset=utf-8'): void => {
    response.writeHead(status, { 'content-type': type }).end(body);
  };
  const path = (request.url ?? '').split('?')[0];
  if (path === '/healthz') return send(200, 'ok\n');
  if (path !== '/validate') return send(404, 'there is /validate\n');
  if (request.method !== 'POST') return send(405, 'POST an AdmissionReview\n');
  if (request.headers['content-type']?.split(';')[0] !== 'application/json')
    return send(415, 'the content type must be application/json\n');
  let review: AdmissionReview;
  try {
    review = JSON.parse(await readBody(request)) as AdmissionReview;
  } catch (error) {
    return send(400, `the body cannot be read: ${messageOf(error)}\n`);
  }
  if (review.apiVersion !== 'admission.k8s.io/v1' || typeof review.request?.uid !== 'string')
    return send(400, 'the body must be an AdmissionReview of admission.k8s.io/v1 with a request\n');
  const verdict = judge(review.request, inMesh, warn);
  metrics.admission.record([review.request.resource.resource], (values) => {
    if (verdict.allowed) values.passed++;
    else values.failed++;
  });
  if (!verdict.allowed) {
    const { namespace, name, operation, kind } = review.request;
    log.info('an object was refused', { kind: kind.kind, namespace, name, operation, reason: verdict.status?.message });
  }
  const body: AdmissionReview = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: verdict };
  send(200, JSON.stringify(body), 'application/json');
}

/** Deletes, and what has no object, are nobody's business here. */
export function judge(
  request: AdmissionRequest,
  inMesh?: MeshJudgement,
  warn?: WebhookServerOptions['warn'],
): AdmissionResponse {
  const { uid, kind, operation, object, name = '' } = request;
  if (operation === 'DELETE' || object === null) return { uid, allowed: true };
  const { errors: own, warnings: ofObject } = validateIstio(kind, viewOf(object));
  const warnings = [...(warn?.(request) ?? []), ...ofObject];
  const errors = own.length > 0 ? own : (inMesh?.(request) ?? []);
  const [first] = errors;
  if (!first) return { uid, allowed: true, ...(warnings.length > 0 ? { warnings } : {}) };
  const text = errors.map(({ path, message }) => `${path}: ${message}`);
  return {
    uid,
    allowed: false,
    status: {
      status: 'Failure',
      code: 422,
      reason: 'Invalid',
      message: `configuration is invalid: ${text.length === 1 ? text[0] : `[${text.join(', ')}]`}`,
      details: {
        group: kind.group,
        kind: kind.kind,
        name,
        causes: errors.map(({ path, reason, message }) => ({ field: path, reason, message })),
      },
    },
  };
}

function readBody(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= maxBodyBytes) chunks.push(chunk);
      else reject(new Error(`it is longer than ${maxBodyBytes} bytes`));
    });
    request.on('error', reject);
    request.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
  });
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const message = `Cannot listen on ${formatHostPort(host, port)}: ${messageOf(error)}`;
      reject(new AmbitError(message, { code: 'control.listen-failed', blame: 'internal', cause: error }));
    });
    server.listen(port, host, resolve);
  });
}
