/** The admin port of a ztunnel, reached through its pod. */
import type { KubeClient } from '../../kube/index.ts';
import { AmbitError, codeOf, messageOf } from '../../lib/errors.ts';
import { callAdmin } from '../admin-call.ts';
import { fields, type Fields } from '../dump-fields.ts';
import type { Ztunnel } from './select.ts';

/** Throws `cli.no-ztunnel` when it does not answer, `cli.usage` when it refuses what it was asked. */
export async function readDump(client: KubeClient, ztunnel: Ztunnel): Promise<Fields> {
  return fields(JSON.parse(await call(client, ztunnel, { method: 'GET', path: '/config_dump' })));
}

export function sayToZtunnel(client: KubeClient, ztunnel: Ztunnel, path: string): Promise<string> {
  return call(client, ztunnel, { method: 'POST', path });
}

async function call(
  client: KubeClient,
  { pod, namespace, node }: Ztunnel,
  asked: { method: 'GET' | 'POST'; path: string },
): Promise<string> {
  try {
    return await callAdmin(client, { pod, namespace }, asked);
  } catch (error) {
    if (codeOf(error) === 'cli.usage') throw error;
    throw new AmbitError(`No answer from ztunnel "${pod}" on node "${node}": ${messageOf(error)}`, {
      code: 'cli.no-ztunnel',
      blame: 'upstream',
      cause: error,
    });
  }
}
