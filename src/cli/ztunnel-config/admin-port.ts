/** The admin port of a ztunnel, reached through its pod. */
import { openPortForward, type KubeClient } from '../../kube/index.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import { httpCall } from '../http-call.ts';
import { fields, type Fields } from './fields.ts';
import type { Ztunnel } from './select.ts';

const adminPort = 15000;

/** Throws `cli.no-ztunnel` when it does not answer. */
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
    const stream = await openPortForward(client, { namespace, pod, port: adminPort });
    try {
      return await httpCall(stream, asked);
    } finally {
      stream.destroy();
    }
  } catch (error) {
    throw new AmbitError(`No answer from ztunnel "${pod}" on node "${node}": ${messageOf(error)}`, {
      code: 'cli.no-ztunnel',
      blame: 'upstream',
      cause: error,
    });
  }
}
