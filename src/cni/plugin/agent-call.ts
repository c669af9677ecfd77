/**
 * The CNI plugin's question to the node agent, over its unix socket: `POST /cmdadd`, as Istio's plugin asks it. It speaks
 * HTTP/1.0 by itself: node:http would take as long to load as all the rest of the plugin.
 */
import { connect } from 'node:net';
import type { PodToAdmit } from './admit-pod.ts';

export type AgentAnswer =
  /** In the mesh, or not wanting to be. */
  | { readonly kind: 'admitted' }
  | { readonly kind: 'refused'; readonly reason: string }
  /** Nobody listens there. */
  | { readonly kind: 'absent'; readonly reason: string };

/** Longer than the agent takes to give up: its answer says more. */
const timeoutMs = 30_000;
const maxAnswer = 8192;

export function askAgent(socketPath: string, pod: PodToAdmit): Promise<AgentAnswer> {
  const body = JSON.stringify({
    Netns: pod.netns,
    PodName: pod.name,
    PodNamespace: pod.namespace,
    ...(pod.uid === undefined ? {} : { PodUID: pod.uid }),
    IPs: pod.ips.map((ip) => ({ Address: { IP: ip } })),
  });
  const head = `POST /cmdadd HTTP/1.0\r\nHost: agent\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(socketPath);
    socket.setEncoding('utf8').setTimeout(timeoutMs);
    socket.on('connect', () => socket.write(head + body));
    socket.on('data', (part: string) => (text = (text + part).slice(0, maxAnswer)));
    socket.on('timeout', () => socket.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const absent = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(error.code ?? '');
      resolve({ kind: absent ? 'absent' : 'refused', reason: error.message });
    });
    socket.on('close', () => resolve(readAnswer(text)));
  });
}

function readAnswer(text: string): AgentAnswer {
  const status = /^HTTP\/1\.\d (\d{3})/.exec(text)?.[1];
  if (status === undefined) return { kind: 'absent', reason: 'it closed the connection' };
  if (status === '200') return { kind: 'admitted' };
  const end = text.indexOf('\r\n\r\n');
  const reason = end < 0 ? '' : text.slice(end).trim();
  return { kind: 'refused', reason: reason === '' ? `status ${status}` : reason };
}
