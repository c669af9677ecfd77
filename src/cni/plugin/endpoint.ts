/** The node agent's end of the CNI plugin: one question a pod, answered when the pod is in the mesh or need not be. */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, renameSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { dirname, join } from 'node:path';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { createServer } from '../../lib/node-http.ts';
import { removeSocket, socketAt } from '../../net/index.ts';
import type { PodToAdmit } from './admit-pod.ts';

export interface PluginEndpointOptions {
  readonly path: string;
  /** Resolves when the pod may start; `enrolled` tells why. Rejects with what is missing. */
  readonly admit: (pod: PodToAdmit, signal: AbortSignal) => Promise<{ readonly enrolled: boolean }>;
  readonly onAnswer?: (status: number) => void;
  readonly log: Log;
}

const maxBody = 64 * 1024;

export interface PluginEndpoint {
  /** Ends every question, too. The path goes, unless another agent took it meanwhile. */
  close(): void;
}

/** Only root of the node reaches it. Throws when the path cannot be bound. */
export async function startPluginEndpoint(options: PluginEndpointOptions): Promise<PluginEndpoint> {
  const { path, admit, onAnswer, log } = options;
  mkdirSync(dirname(path), { recursive: true });
  const server = createServer((request, response) => {
    const answer = (status: number, text: string): void => {
      onAnswer?.(status);
      response.writeHead(status, { 'content-type': 'text/plain', connection: 'close' }).end(`${text}\n`);
    };
    if (request.method !== 'POST' || request.url !== '/cmdadd') return answer(404, 'not found');
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    readBody(request)
      .then(async (body) => {
        const pod = parsePod(body);
        const { enrolled } = await admit(pod, gone.signal);
        answer(200, enrolled ? 'in the mesh' : 'not in the mesh');
      })
      .catch((error: unknown) => {
        log.warn('a pod may not start yet', { error: messageOf(error) });
        answer(503, messageOf(error));
      });
  });
  // Admission ends by itself; nothing else is slow here.
  server.requestTimeout = 10_000;
  // Under a name of its own first: nobody finds it before it is closed to others, and what goes with the server is that name.
  const first = join(dirname(path), `.plugin-${randomBytes(3).toString('hex')}`);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(first, resolve);
  });
  chmodSync(first, 0o600);
  renameSync(first, path);
  const own = socketAt(path);
  return {
    close() {
      server.close();
      server.closeAllConnections();
      removeSocket(path, own);
    },
  };
}

function readBody(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let length = 0;
    request.on('data', (part: Buffer) => {
      parts.push(part);
      if ((length += part.length) > maxBody) reject(new Error('the request is too long'));
    });
    request.on('end', () => resolve(Buffer.concat(parts).toString()));
    request.on('error', reject);
  });
}

/** Istio's `CNIPluginAddEvent`, and the pod's UID where the runtime told it. Throws when something is missing. */
export function parsePod(body: string): PodToAdmit {
  const event = JSON.parse(body) as Record<string, unknown>;
  const text = (name: string): string => {
    const value = event[name];
    if (typeof value !== 'string' || value === '') throw new Error(`the request has no ${name}`);
    return value;
  };
  const uid = event['PodUID'];
  const ips = Array.isArray(event['IPs']) ? (event['IPs'] as { Address?: { IP?: unknown } }[]) : [];
  return {
    name: text('PodName'),
    namespace: text('PodNamespace'),
    netns: text('Netns'),
    ips: ips.flatMap(({ Address }) => (typeof Address?.IP === 'string' ? [Address.IP] : [])),
    ...(typeof uid === 'string' && uid !== '' ? { uid } : {}),
  };
}
