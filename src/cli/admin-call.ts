/** The admin port of a proxy, reached through its pod: loopback alone takes its requests. */
import { openPortForward, type KubeClient } from '../kube/index.ts';
import { httpCall, type HttpCall } from './http-call.ts';

const adminPort = 15000;

export interface PodName {
  readonly pod: string;
  readonly namespace: string;
}

export async function callAdmin(
  client: KubeClient,
  { pod, namespace }: PodName,
  asked: HttpCall,
  port: number = adminPort,
): Promise<string> {
  const stream = await openPortForward(client, { namespace, pod, port });
  try {
    return await httpCall(stream, asked);
  } finally {
    stream.destroy();
  }
}
