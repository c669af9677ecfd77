/** `ambit waypoint apply`: makes a waypoint, or brings it to what is asked for, and lets a namespace use it. */
import { kinds, type Namespace } from '../../api/index.ts';
import { isKubeError, type KubeClient } from '../../kube/index.ts';
import { sleep } from '../../lib/clock.ts';
import { AmbitError } from '../../lib/errors.ts';
import type { CliContext } from '../context.ts';
import { listWaypoints, waypointGateway, type WaypointSpec } from './waypoint-gateway.ts';

export interface ApplyOptions {
  readonly spec: WaypointSpec;
  /** Label the namespace, so that everything in it uses the waypoint. */
  readonly enrolls: boolean;
  /** Also where the namespace uses another one. */
  readonly overwrites: boolean;
  /** How long to wait until it is programmed; absent: not at all. */
  readonly waitMs?: number;
}

const useLabel = 'istio.io/use-waypoint';
const pollMs = 250;

export async function applyWaypoint(context: CliContext, client: KubeClient, options: ApplyOptions): Promise<void> {
  const { spec, enrolls, overwrites, waitMs } = options;
  const { name, namespace } = spec;
  const found = await readNamespace(client, namespace);
  // Before anything is made: an answer of no should leave no trace.
  if (enrolls) requireFree(found, name, overwrites);
  try {
    await client.patch(kinds.Gateway, name, namespace, waypointGateway(spec), {
      type: 'apply',
      fieldManager: 'ambit',
      force: true,
      signal: context.signal,
    });
  } catch (error) {
    if (!isKubeError(error, 'kube.not-found')) throw error;
    throw failed('Cannot apply a waypoint: this cluster has no Gateway API; install its CRDs first', error);
  }
  context.out.write(`waypoint ${namespace}/${name} applied\n`);
  if (enrolls) {
    const patch = { metadata: { labels: { [useLabel]: name } } };
    await client.patch(kinds.Namespace, namespace, undefined, patch, { type: 'merge', signal: context.signal });
    context.out.write(`namespace ${namespace} labeled with "${useLabel}: ${name}"\n`);
  }
  if (enrolls && found.metadata.labels?.['istio.io/dataplane-mode'] !== 'ambient') {
    context.err.write(
      `ambit: namespace ${namespace} is not in the mesh: its own pods reach the waypoint once it is labelled istio.io/dataplane-mode=ambient\n`,
    );
  }
  if (waitMs !== undefined) await waitUntilProgrammed(context, client, { name, namespace, waitMs });
}

async function readNamespace(client: KubeClient, namespace: string): Promise<Namespace> {
  try {
    return await client.get(kinds.Namespace, namespace);
  } catch (error) {
    if (!isKubeError(error, 'kube.not-found')) throw error;
    throw failed(`Cannot apply a waypoint: there is no namespace "${namespace}"`, error);
  }
}

function requireFree({ metadata }: Namespace, waypoint: string, overwrites: boolean): void {
  const used = metadata.labels?.[useLabel];
  if (used === undefined || used === waypoint || overwrites) return;
  throw failed(
    `Cannot enroll namespace "${metadata.name}": it uses waypoint "${used}"; to change that, add --overwrite`,
    undefined,
  );
}

async function waitUntilProgrammed(
  context: CliContext,
  client: KubeClient,
  { name, namespace, waitMs }: { readonly name: string; readonly namespace: string; readonly waitMs: number },
): Promise<void> {
  const deadlineMs = performance.now() + waitMs;
  for (;;) {
    const row = (await listWaypoints(client, namespace)).find((one) => one.name === name);
    if (row?.programmed === 'True') {
      context.out.write(`waypoint ${namespace}/${name} is ready\n`);
      return;
    }
    if (performance.now() >= deadlineMs) {
      const why = row?.message === undefined || row.message === '' ? 'nobody deploys it' : row.message;
      throw failed(`Waypoint ${namespace}/${name} is not ready within ${waitMs / 1000} s: ${why}`, undefined);
    }
    await sleep(pollMs, context.signal);
    context.signal.throwIfAborted();
  }
}

function failed(message: string, cause: unknown): AmbitError {
  return new AmbitError(message, { code: 'cli.waypoint', blame: 'downstream', cause });
}
