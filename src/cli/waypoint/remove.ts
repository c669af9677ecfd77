/** `ambit waypoint delete`: takes waypoints away, never another Gateway. */
import { kinds } from '../../api/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import { AmbitError } from '../../lib/errors.ts';
import { usageError, type CliContext } from '../context.ts';
import { listWaypoints } from './waypoint-gateway.ts';

export interface RemoveOptions {
  readonly namespace: string;
  readonly names: readonly string[];
  readonly all: boolean;
}

export async function removeWaypoints(
  context: CliContext,
  client: KubeClient,
  { namespace, names, all }: RemoveOptions,
): Promise<void> {
  if (all === names.length > 0) throw usageError('Cannot delete waypoints: name them, or add --all, not both');
  const known = (await listWaypoints(client, namespace)).map(({ name }) => name);
  const missing = names.filter((name) => !known.includes(name));
  if (missing.length > 0) {
    throw new AmbitError(
      `Cannot delete: there is no waypoint ${missing.map((name) => `"${name}"`).join(', ')} in namespace "${namespace}"`,
      { code: 'cli.waypoint', blame: 'downstream' },
    );
  }
  if (known.length === 0) context.out.write(`No waypoints found in namespace ${namespace}.\n`);
  for (const name of all ? known : names) {
    await client.delete(kinds.Gateway, name, namespace, { signal: context.signal });
    context.out.write(`waypoint ${namespace}/${name} deleted\n`);
  }
  const used = (await client.get(kinds.Namespace, namespace)).metadata.labels?.['istio.io/use-waypoint'];
  if (used === undefined || !(all ? known : names).includes(used)) return;
  context.err.write(
    `ambit: namespace ${namespace} still asks for waypoint ${used}: connections to its Services are refused until it does no more (kubectl label namespace ${namespace} istio.io/use-waypoint-)\n`,
  );
}
