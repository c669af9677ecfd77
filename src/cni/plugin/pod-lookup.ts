/** Whether a pod belongs to the mesh, asked of the API while the node agent is away: with the access that it left. */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import type { Namespace, Pod } from '../../api/index.ts';
import { wantsMesh } from '../enrolment.ts';
import type { PodToAdmit } from './admit-pod.ts';

/** The file that the agent keeps up to date for the plugin; only root may read it. */
export interface ApiAccess {
  readonly server: string;
  readonly caPem?: string;
  readonly token: string;
}

export type LookupAnswer =
  | { readonly kind: 'outside' }
  | { readonly kind: 'inside' }
  | { readonly kind: 'unknown'; readonly reason: string };

const timeoutMs = 5000;

export async function lookUpPod(options: {
  readonly path: string;
  readonly pod: PodToAdmit;
  readonly excludedNamespaces: readonly string[];
}): Promise<LookupAnswer> {
  const { path, excludedNamespaces, pod } = options;
  try {
    const access = JSON.parse(readFileSync(path, 'utf8')) as ApiAccess;
    const namespacePath = `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}`;
    const [found, namespace] = await Promise.all([
      get<Pod>(access, `${namespacePath}/pods/${encodeURIComponent(pod.name)}`),
      get<Namespace>(access, namespacePath),
    ]);
    return { kind: wantsMesh(found, namespace, excludedNamespaces) ? 'inside' : 'outside' };
  } catch (error) {
    return { kind: 'unknown', reason: (error as Error).message };
  }
}

function get<T>({ server, caPem, token }: ApiAccess, path: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const options = {
      agent: false,
      timeout: timeoutMs,
      headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
      ...(caPem === undefined ? {} : { ca: caPem }),
    };
    const call = request(new URL(path, server), options, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => {
        if (response.statusCode !== 200) return reject(new Error(`the API answers ${response.statusCode} for ${path}`));
        resolve(JSON.parse(Buffer.concat(parts).toString()) as T);
      });
      response.on('error', reject);
    });
    call.on('timeout', () => call.destroy(new Error('the API does not answer')));
    call.on('error', reject);
    call.end();
  });
}
