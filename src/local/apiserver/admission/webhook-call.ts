/** One call of a webhook: an AdmissionReview over HTTPS, to a URL or to a ready endpoint of a Service. */
import { randomUUID } from 'node:crypto';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import type { AdmissionRequest, AdmissionResponse, AdmissionReview, ValidatingWebhook } from '../../../api/index.ts';
import { messageOf } from '../../../lib/errors.ts';

export interface ServiceEndpoint {
  readonly host: string;
  readonly port: number;
}

/** Where a Service's port leads now; throws when there is no Service, no such port, or nobody ready behind it. */
export type ResolveService = (namespace: string, name: string, port: number) => ServiceEndpoint;

const maxAnswerBytes = 3 * 1024 * 1024;

/** Throws when there is no answer, or none that says yes or no. The message says where the call went. */
export async function callWebhook(
  webhook: ValidatingWebhook,
  request: Omit<AdmissionRequest, 'uid'>,
  resolve: ResolveService,
): Promise<AdmissionResponse> {
  const { url, connect } = targetOf(webhook, resolve);
  const uid = randomUUID();
  const review: AdmissionReview = {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: { uid, ...request },
  };
  const timeoutMs = (webhook.timeoutSeconds ?? 10) * 1000;
  let text: string;
  try {
    const ca = webhook.clientConfig.caBundle;
    text = await post(url, JSON.stringify(review), { timeoutMs, connect, ...(ca === undefined ? {} : { ca }) });
  } catch (error) {
    throw new Error(`failed to call webhook: Post "${url.href}": ${messageOf(error)}`, { cause: error });
  }
  return readAnswer(text, uid);
}

interface Target {
  readonly url: URL;
  readonly connect: ServiceEndpoint | undefined;
}

function targetOf({ clientConfig, timeoutSeconds = 10 }: ValidatingWebhook, resolve: ResolveService): Target {
  const withTimeout = (url: URL): URL => {
    url.searchParams.set('timeout', `${timeoutSeconds}s`);
    return url;
  };
  if (clientConfig.url !== undefined) return { url: withTimeout(new URL(clientConfig.url)), connect: undefined };
  const { namespace = '', name = '', path = '/', port = 443 } = clientConfig.service ?? {};
  const url = withTimeout(new URL(`https://${name}.${namespace}.svc:${port}${path.startsWith('/') ? '' : '/'}${path}`));
  return { url, connect: resolve(namespace, name, port) };
}

function post(
  url: URL,
  body: string,
  options: { readonly timeoutMs: number; readonly connect: ServiceEndpoint | undefined; readonly ca?: string },
): Promise<string> {
  const { timeoutMs, connect, ca } = options;
  return new Promise((resolve, reject) => {
    const call = httpsRequest(
      {
        method: 'POST',
        host: connect?.host ?? url.hostname,
        port: connect?.port ?? (url.port || 443),
        path: `${url.pathname}${url.search}`,
        // An address is no server name: the certificate is then compared with the address.
        ...(isIP(url.hostname.replace(/^\[|\]$/g, '')) ? {} : { servername: url.hostname }),
        headers: { host: url.host, 'content-type': 'application/json', accept: 'application/json' },
        ...(ca === undefined ? {} : { ca: Buffer.from(ca, 'base64') }),
        agent: false,
        signal: AbortSignal.timeout(timeoutMs),
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
          if (text.length > maxAnswerBytes) call.destroy(new Error('the answer is too long'));
        });
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`the server answered ${response.statusCode}: ${text.slice(0, 200)}`));
        });
      },
    );
    call.on('error', (error) => {
      const timedOut = error.name === 'AbortError' || error.name === 'TimeoutError';
      reject(timedOut ? new Error('context deadline exceeded') : error);
    });
    call.end(body);
  });
}

function readAnswer(text: string, uid: string): AdmissionResponse {
  let review: Partial<AdmissionReview>;
  try {
    review = JSON.parse(text) as Partial<AdmissionReview>;
  } catch (error) {
    throw new Error('received invalid webhook response: it is not JSON', { cause: error });
  }
  const { response } = review;
  if (review.apiVersion !== 'admission.k8s.io/v1' || review.kind !== 'AdmissionReview')
    throw new Error(
      'received invalid webhook response: expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview',
    );
  if (!response) throw new Error('webhook response was absent');
  if (response.uid !== uid) throw new Error(`expected response.uid="${uid}", got "${response.uid}"`);
  return response;
}
