/** Sends the demo's requests: from inside the caller's pod, as an application would. */
import { text } from 'node:stream/consumers';
import { kinds } from '../../api/index.ts';
import { openExec, type KubeClient } from '../../kube/index.ts';
import { AmbitError } from '../../lib/errors.ts';
import type { DemoCall } from './scenario.ts';

/** What the caller got. */
export type CallResult =
  | { readonly kind: 'answer'; readonly status: number }
  | { readonly kind: 'no answer'; readonly reason: string };

/** A request by Node itself: the one HTTP client that is sure to be on the machine. A connection of its own, closed after. */
const clientProgram = `
const { get } = require('node:http');
const say = (result) => { console.log(JSON.stringify(result)); process.exit(0); };
const call = get(process.argv[1], { agent: false, timeout: 5000, headers: { connection: 'close' } }, (response) => {
  response.on('error', (error) => say({ kind: 'no answer', reason: error.message }));
  response.resume().on('end', () => say({ kind: 'answer', status: response.statusCode }));
});
call.on('timeout', () => call.destroy(new Error('timeout')));
call.on('error', (error) => say({ kind: 'no answer', reason: error.code || error.message }));
`;

export interface CallSite {
  readonly client: KubeClient;
  /** The Node to run inside the pod. */
  readonly node: string;
}

/** Sends one request from a pod of the caller's app. */
export async function sendCall(site: CallSite, call: DemoCall): Promise<CallResult> {
  const { namespace, app } = call.caller;
  const pods = (await site.client.list(kinds.Pod, { namespace, labelSelector: `app=${app}` })).items;
  const pod = pods.find((candidate) => candidate.status?.phase === 'Running');
  if (!pod)
    throw new AmbitError(`No pod of app "${app}" runs in namespace "${namespace}"`, {
      code: 'cli.no-pod',
      blame: 'internal',
    });
  const remote = await openExec(site.client, {
    namespace,
    pod: pod.metadata.name ?? '',
    command: [site.node, '-e', clientProgram, call.url],
    stdin: false,
    tty: false,
  });
  const [output, complaint, exitCode] = await Promise.all([text(remote.stdout), text(remote.stderr), remote.exitCode]);
  if (exitCode === 0) return JSON.parse(output) as CallResult;
  throw new AmbitError(`Cannot send a request from the pod: ${complaint.trim() || `exit code ${exitCode}`}`, {
    code: 'cli.demo',
    blame: 'internal',
  });
}
