/** A mesh with a client, an HTTP application in two versions, and a waypoint for them; and requests through it. */
import { join } from 'node:path';
import { kinds } from '../../src/api/index.ts';
import {
  documents,
  namespace,
  openTestMesh,
  programPod,
  programs,
  serviceAccount,
  type TestMesh,
  type TestMeshOptions,
} from './mesh.ts';
import { eventually } from './run.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
  readonly error?: string;
}

export interface HttpRequest {
  readonly url: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** So many letters instead of `body`. */
  readonly bodyBytes?: number;
  readonly times?: number;
  /** All of its times together. */
  readonly atOnce?: boolean;
  readonly upgrade?: string;
}

export interface L7Mesh extends AsyncDisposable {
  readonly mesh: TestMesh;
  /** Sends the requests in turn from a pod. */
  send(pod: string, ...requests: readonly HttpRequest[]): Promise<HttpAnswer[]>;
  /** Sends one until `wanted` holds; gives the answer. */
  until(pod: string, request: HttpRequest, wanted: (answer: HttpAnswer) => boolean, what: string): Promise<HttpAnswer>;
  /** Server-side apply of objects, as `ambit up -f` does; they act a moment later. */
  apply(...objects: readonly object[]): Promise<void>;
  remove(...objects: readonly KubeObjectName[]): Promise<void>;
}

export interface KubeObjectName {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** Services `app` (both versions), `app-v1` and `app-v2`, port 80 named http, in namespace `shop`; clients `client` and `stranger` in `front`. */
export const l7Manifests: string = documents(
  namespace('shop'),
  namespace('front'),
  serviceAccount('app-v1', 'shop'),
  serviceAccount('app-v2', 'shop'),
  serviceAccount('client', 'front'),
  serviceAccount('stranger', 'front'),
  app('v1', 'node-1'),
  app('v2', 'node-2'),
  httpService('app', { group: 'app' }),
  httpService('app-v1', { app: 'app-v1' }),
  httpService('app-v2', { app: 'app-v2' }),
  programPod({ name: 'client', namespace: 'front', node: 'node-1', program: 'idle.ts' }),
  programPod({ name: 'stranger', namespace: 'front', node: 'node-2', program: 'idle.ts' }),
);

function app(version: string, node: string): string {
  return programPod({
    name: `app-${version}`,
    namespace: 'shop',
    node,
    program: 'http-app.ts',
    args: ['8080', version],
    port: 8080,
    labels: { group: 'app', version },
  });
}

export function httpService(
  name: string,
  selector: Readonly<Record<string, string>>,
  port: Readonly<Record<string, unknown>> = { name: 'http', port: 80, targetPort: 8080 },
): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'shop' },
    spec: { selector, ports: [port] },
  });
}

/** Brought up, enrolled, and its waypoint `waypoint` in `shop` programmed. */
export async function openL7Mesh(options: TestMeshOptions = {}): Promise<L7Mesh> {
  const mesh = await openTestMesh({ ...options, manifests: documents(l7Manifests, options.manifests ?? '') });
  try {
    await mesh.enrol('shop');
    await mesh.enrol('front');
    const result = await mesh.ambit(['waypoint', 'apply', '-n', 'shop', '--enroll-namespace', '--wait']);
    if (result.code !== 0) throw new Error(`ambit waypoint apply ended with ${result.code}: ${result.stderr}`);
  } catch (error) {
    await mesh[Symbol.asyncDispose]();
    throw error;
  }
  const send = async (pod: string, ...requests: readonly HttpRequest[]): Promise<HttpAnswer[]> => {
    const command = [process.execPath, join(programs, 'http-client.ts'), JSON.stringify(requests)];
    return JSON.parse(await mesh.exec(pod, command)) as HttpAnswer[];
  };
  const l7: L7Mesh = {
    mesh,
    send,
    async until(pod, request, wanted, what) {
      let last: HttpAnswer | undefined;
      try {
        return await eventually(async () => {
          [last] = await send(pod, request);
          return last && wanted(last) ? last : undefined;
        }, what);
      } catch (error) {
        throw new Error(`${what}: the last answer was ${JSON.stringify(last)}`, { cause: error });
      }
    },
    async apply(...objects) {
      await mesh.apply(documents(...objects.map((object) => JSON.stringify(object))));
    },
    async remove(...objects) {
      for (const { kind, metadata } of objects) {
        const ref = (kinds as unknown as Readonly<Record<string, (typeof kinds)['Pod'] | undefined>>)[kind];
        if (!ref) throw new Error(`no kind ${kind}`);
        await mesh.client.delete(ref, metadata.name, metadata.namespace ?? 'shop');
      }
    },
    [Symbol.asyncDispose]: () => mesh[Symbol.asyncDispose](),
  };
  // The waypoint stands for the Services: what it adds to answers tells.
  await l7.until(
    'front/client',
    { url: 'http://app.shop/' },
    ({ headers }) => headers['server'] === 'istio-envoy',
    'requests pass the waypoint',
  );
  return l7;
}
