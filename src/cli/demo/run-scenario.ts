/** Plays the scenario on a mesh that is up, and holds what was seen against what must be. */
import { join } from 'node:path';
import { kinds, type Pod } from '../../api/index.ts';
import { sleep } from '../../lib/clock.ts';
import { AmbitError } from '../../lib/errors.ts';
import { applyManifests, readManifests } from '../../local/mesh/index.ts';
import { readInboundLines, type AccessLine } from './access-lines.ts';
import { sendCall, type CallResult, type CallSite } from './calls.ts';
import { demoPhases, type DemoCall, type DemoPhase, type ExpectedRow } from './scenario.ts';

/** A row of the table. */
export interface SeenRow extends ExpectedRow {
  readonly callerIdentity: string;
  readonly calledIdentity: string;
  /** Absent when the row came out as it must. */
  readonly wrong?: string;
}

export interface ScenarioOptions extends CallSite {
  readonly samples: string;
  readonly onProgress: (step: string) => void;
  readonly signal: AbortSignal;
}

/** The namespace that the demo puts into the mesh. */
const meshNamespace = 'default';
const rowsWithinMs = 15_000;
const enrolledWithinMs = 30_000;

export async function runScenario(options: ScenarioOptions): Promise<SeenRow[]> {
  const { client, samples, onProgress } = options;
  const [before, enrolled, restricted] = demoPhases;
  const rows = await playPhase(options, before);
  onProgress(`putting namespace ${meshNamespace} in the mesh`);
  const label = { metadata: { labels: { 'istio.io/dataplane-mode': 'ambient' } } };
  await client.patch(kinds.Namespace, meshNamespace, undefined, label, { type: 'merge' });
  await waitUntilEnrolled(options);
  rows.push(...(await playPhase(options, enrolled)));
  onProgress('applying the policies');
  await applyManifests(client, readManifests([join(samples, 'demo/policies.yaml')]));
  await waitUntilPolicyActs(options);
  rows.push(...(await playPhase(options, restricted)));
  return rows;
}

/** Calls until every row of the phase was seen, then says of each whether it is right. */
async function playPhase(options: ScenarioOptions, phase: DemoPhase): Promise<SeenRow[]> {
  options.onProgress(phase.step);
  const sinceMs = Date.now();
  const results = new Map<DemoCall, CallResult>();
  for (;;) {
    for (const call of phase.calls) results.set(call, await sendCall(options, call));
    const lines = (await readInboundLines(options.client)).filter((line) => line.timeMs >= sinceMs);
    const rows = phase.rows.map((row) =>
      row.direct ? directRow(phase, row, results) : tunnelledRow(phase, row, lines),
    );
    const failed = phase.calls.flatMap((call) => callTrouble(call, results.get(call)) ?? []);
    if (rows.every((row) => row.wrong === undefined) && failed.length === 0) return rows;
    if (Date.now() - sinceMs > rowsWithinMs || options.signal.aborted) {
      return failed.length === 0
        ? rows
        : rows.map((row, index) => (index === 0 ? { ...row, wrong: row.wrong ?? failed.join('; ') } : row));
    }
    await sleep(200, options.signal);
  }
}

function callTrouble(call: DemoCall, result: CallResult | undefined): string | undefined {
  const answered = result?.kind === 'answer' && result.status < 500;
  if (answered === (call.expect === 'answer')) return undefined;
  return `${call.caller.app} calling ${call.url} got ${result?.kind === 'answer' ? `status ${result.status}` : `no answer (${result?.reason})`}`;
}

/** Without a ztunnel in between the client is the only witness. */
function directRow(
  phase: DemoPhase,
  row: Omit<ExpectedRow, 'phase'>,
  results: ReadonlyMap<DemoCall, CallResult>,
): SeenRow {
  const service = row.called.replace(/-v\d$/, '');
  const call = phase.calls.find(
    (candidate) => candidate.caller.app === row.caller && candidate.url.includes(`//${service}.`),
  );
  const trouble = call ? callTrouble(call, results.get(call)) : 'no such call';
  const seen = { ...row, phase: phase.name, callerIdentity: '', calledIdentity: '' };
  return trouble === undefined ? seen : { ...seen, wrong: trouble };
}

function tunnelledRow(phase: DemoPhase, row: Omit<ExpectedRow, 'phase'>, lines: readonly AccessLine[]): SeenRow {
  const ofPair = lines.filter(
    (line) => line.source.workload.startsWith(row.caller) && line.destination.workload.startsWith(`${row.called}-`),
  );
  const line = ofPair.findLast((candidate) => isDenied(candidate) === (row.outcome === 'denied')) ?? ofPair.at(-1);
  const seen = {
    ...row,
    phase: phase.name,
    caller: line ? deploymentOf(line.source.workload) : row.caller,
    callerIdentity: line?.source.identity ?? '',
    calledIdentity: line?.destination.identity ?? '',
  };
  const wrong = line ? mismatch(row, line) : 'no such connection was seen';
  return wrong === undefined ? seen : { ...seen, wrong };
}

/** The name without the two hashes that a Deployment's pods carry. */
function deploymentOf(podName: string): string {
  return podName.replace(/-[a-z0-9]+-[a-z0-9]{5}$/, '');
}

function mismatch(row: Omit<ExpectedRow, 'phase'>, line: AccessLine): string | undefined {
  const mutualTls = line.tunnelTarget !== '' && line.source.identity !== '';
  if (mutualTls !== row.mutualTls) return mutualTls ? 'came over mTLS' : 'came without mTLS';
  if (isDenied(line) !== (row.outcome === 'denied')) return line.error === '' ? 'was allowed' : `failed: ${line.error}`;
  if (row.policy !== undefined && !`${line.policy} ${line.error}`.includes(row.policy)) {
    return `was decided by ${line.policy || line.error || 'no policy'}`;
  }
  return undefined;
}

function isDenied(line: AccessLine): boolean {
  return line.error !== '';
}

async function waitUntilEnrolled(options: ScenarioOptions): Promise<void> {
  const isEnrolled = (pod: Pod): boolean => pod.metadata.annotations?.['ambient.istio.io/redirection'] === 'enabled';
  const deadlineMs = Date.now() + enrolledWithinMs;
  for (;;) {
    const pods = (await options.client.list(kinds.Pod, { namespace: meshNamespace })).items;
    const missing = pods.filter((pod) => !isEnrolled(pod)).map((pod) => pod.metadata.name);
    if (missing.length === 0) return;
    if (Date.now() > deadlineMs || options.signal.aborted) {
      throw new AmbitError(`Pods did not enter the mesh: ${missing.join(', ')}; see 'ambit logs node-agent'`, {
        code: 'cli.demo',
        blame: 'internal',
      });
    }
    await sleep(100, options.signal);
  }
}

/** The control plane says on the policy itself that ztunnels take it. */
async function waitUntilPolicyActs(options: ScenarioOptions): Promise<void> {
  const deadlineMs = Date.now() + enrolledWithinMs;
  for (;;) {
    const policy = await options.client.get(kinds.AuthorizationPolicy, 'ratings-viewer', meshNamespace);
    const conditions = policy.status?.conditions ?? [];
    if (conditions.some((condition) => condition.type === 'ZtunnelAccepted' && condition.status === 'True')) return;
    if (Date.now() > deadlineMs || options.signal.aborted) {
      throw new AmbitError("No ztunnel accepted the policy: see 'ambit logs control'", {
        code: 'cli.demo',
        blame: 'internal',
      });
    }
    await sleep(50, options.signal);
  }
}
