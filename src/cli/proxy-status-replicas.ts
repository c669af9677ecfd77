/** What the replicas of the control plane say of who is connected to them: `/debug/syncz` of each. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { kinds, systemNamespace } from '../api/index.ts';
import type { ClientStatus, SyncStatus } from '../control/index.ts';
import type { KubeClient } from '../kube/index.ts';
import { AmbitError, messageOf } from '../lib/errors.ts';
import { controlAddress, planEnterControl } from '../local/mesh/index.ts';
import { callAdmin } from './admin-call.ts';
import { paths, type CliContext, type ClusterOptions } from './context.ts';

export type { ClientStatus, SyncStatus };

const monitoringPort = 15014;
const path = '/debug/syncz';
const withinMs = 15_000;

export interface Replicas {
  readonly answers: readonly SyncStatus[];
  /** Of replicas that do not answer: why. */
  readonly silent: readonly string[];
}

/** In a cluster through the pods of the control plane; the local mesh's has none, and is asked from inside. Throws `cli.no-control`. */
export async function askReplicas(context: CliContext, client: KubeClient, options: ClusterOptions): Promise<Replicas> {
  const { items } = await client.list(kinds.Pod, { namespace: systemNamespace, labelSelector: 'app=istiod' });
  const pods = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  if (pods.length === 0) {
    if (options.kubeconfig !== undefined || options.context !== undefined) {
      throw noControl(`No pod of a control plane in ${systemNamespace}: is a mesh installed there? See 'ambit status'`);
    }
    return { answers: [await askLocal(context, options)], silent: [] };
  }
  const asked = await Promise.allSettled(
    pods.map(({ metadata }) =>
      callAdmin(
        client,
        { pod: metadata.name ?? '', namespace: systemNamespace },
        { method: 'GET', path },
        monitoringPort,
      ),
    ),
  );
  const silent = asked.flatMap((one, i) =>
    one.status === 'rejected' ? [`${pods[i]?.metadata.name ?? ''}: ${messageOf(one.reason)}`] : [],
  );
  const answers = asked.flatMap((one) => (one.status === 'fulfilled' ? [JSON.parse(one.value) as SyncStatus] : []));
  if (answers.length === 0) throw noControl(`No answer from the control plane: ${silent.join('; ')}`);
  return { answers, silent };
}

/** Asks on standard output, and ends with 1 for any other status than 200. */
const ask = `fetch(process.argv[1], { signal: AbortSignal.timeout(10000) }).then(async (answer) => {
  process.stdout.write(await answer.text());
  process.exitCode = answer.ok ? 0 : 1;
}, (error) => {
  process.stderr.write(String(error.cause ?? error));
  process.exitCode = 1;
})`;

async function askLocal(context: CliContext, options: ClusterOptions): Promise<SyncStatus> {
  const env = Object.fromEntries(
    Object.entries(context.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  const command = [context.self.node, '-e', ask, '--', `http://${controlAddress}:${monitoringPort}${path}`];
  const plan = planEnterControl(paths(context, options), { command, env });
  const [file = '', ...args] = plan.command;
  try {
    const { stdout } = await promisify(execFile)(file, args, {
      env: plan.env,
      timeout: withinMs,
      maxBuffer: 64 * 1024 * 1024,
      signal: context.signal,
    });
    return JSON.parse(stdout) as SyncStatus;
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    throw noControl(`No answer from the control plane: ${said || messageOf(error)}`, error);
  }
}

function noControl(message: string, cause?: unknown): AmbitError {
  return new AmbitError(message, { code: 'cli.no-control', blame: 'upstream', cause });
}
