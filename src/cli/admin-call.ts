/** The admin port of a proxy, reached through its pod: loopback alone takes its requests. */
import { openPortForward, type KubeClient } from '../kube/index.ts';
import { codeOf, messageOf } from '../lib/errors.ts';
import { usageError } from './context.ts';
import { httpCall, type HttpCall } from './http-call.ts';

const adminPort = 15000;

export interface PodName {
  readonly pod: string;
  readonly namespace: string;
}

/** Throws `cli.usage` when the proxy says that what was asked makes no sense, `cli.http` or `kube.*` when it does not answer. */
export async function callAdmin(
  client: KubeClient,
  { pod, namespace }: PodName,
  asked: HttpCall,
  port: number = adminPort,
): Promise<string> {
  const stream = await openPortForward(client, { namespace, pod, port });
  try {
    return await httpCall(stream, asked);
  } catch (error) {
    throw codeOf(error) === 'cli.http-refused' ? usageError(messageOf(error)) : error;
  } finally {
    stream.destroy();
  }
}
