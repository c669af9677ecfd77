/** Gets a captured connection to its destination: plans, dials, and tries another endpoint when one cannot be reached. */
import { AmbitError, codeOf, messageOf } from '../../lib/errors.ts';
import type { WorkloadUid } from '../../api/names.ts';
import { planOutbound, type OutboundPlan } from '../../decision/index.ts';
import { HboneRefusedError } from '../../hbone/index.ts';
import { dial, tcpChannel } from '../../net/index.ts';
import type { PodContext } from './data-context.ts';
import { hbonePort, markOf, ownPorts } from '../ports.ts';
import type { DialPlan, ReachRequest, Upstream } from './reach-request.ts';
import { identityOf } from './traffic.ts';
import { openTunnel } from './tunnels.ts';

export type Reached =
  | { readonly kind: 'reached'; readonly plan: DialPlan; readonly upstream: Upstream }
  /** With the plan that failed, where one came so far. */
  | { readonly kind: 'failed'; readonly plan: OutboundPlan; readonly error: Error };

/** One dial. */
interface Try {
  readonly plan: DialPlan;
  readonly upstream: Promise<Upstream>;
  /** Once it failed. */
  error?: Error;
}

const noneTried: ReadonlySet<WorkloadUid> = new Set();

/**
 * Bounded: `maxTries` dials, of which each is waited for `tryTimeoutMs` while there are other endpoints, the last one up to
 * `answerTimeoutMs`. Nothing of the client's is sent before an endpoint answered, so that another try repeats nothing; those
 * that are slow go on, and the first that answers serves.
 */
export async function reach(request: ReachRequest): Promise<Reached> {
  const { connection, pod } = request;
  const { limits, suspects, clock } = pod;
  const podUid = pod.target.pod.uid;
  let tried: Set<WorkloadUid> | undefined;
  let triedAddresses: Map<WorkloadUid, Set<string>> | undefined;
  let failed: { readonly plan: OutboundPlan; readonly error: Error } | undefined;
  let slow: readonly Try[] = [];
  const giveUp = (plan: OutboundPlan, error: Error): Reached => {
    for (const one of slow) abandon(one);
    return { kind: 'failed', plan, error };
  };
  for (let tries = 1; ; tries++) {
    const { plan, resolved } = await located(planNow(request, tried ?? noneTried), request, triedAddresses);
    if (plan.kind === 'refuse') {
      // Nobody else is there: one that is slow may still answer, and the last failure says more than "no endpoint".
      if (slow.length > 0) return settle(slow, request);
      return failed ? allFailed(failed, tried?.size ?? 0) : { kind: 'failed', plan, error: refusal(plan) };
    }
    const { drawn } = plan;
    if (plan.kind === 'resolve' && drawn !== undefined && triedAddresses?.has(drawn)) {
      // All of its addresses were dialled in vain, which was told of.
      suspects.failed(podUid, drawn);
      (tried ??= new Set()).add(drawn);
      tries--;
      continue;
    }
    const isLast = drawn === undefined || tries >= limits.maxTries;
    let error: Error;
    if (plan.kind === 'resolve') error = plan.error;
    else {
      const newest: Try = { plan, upstream: dialPlan(plan, request) };
      const all = [...slow, newest];
      const timeoutMs = isLast ? limits.answerTimeoutMs : limits.tryTimeoutMs;
      const outcome = await firstOf(all, { until: isLast ? 'all' : newest, timeoutMs, clock });
      if (outcome.kind === 'done') {
        for (const other of all) if (other !== outcome.by) abandon(other);
        if (outcome.by.plan.drawn !== undefined) suspects.worked(podUid, outcome.by.plan.drawn);
        return { kind: 'reached', plan: outcome.by.plan, upstream: outcome.upstream };
      }
      slow = all.filter((one) => one.error === undefined);
      error = newest.error ?? noAnswer(timeoutMs, plan);
      // Nobody else to ask: the end of the connection ends what is still under way for it.
      if (isLast && outcome.kind === 'late') connection.cut(error);
    }
    if (connection.cutError) return giveUp(plan, connection.cutError);
    if (isFinal(error)) return giveUp(plan, error);
    if (drawn === undefined) {
      // The one place to go to; only a connection that was lost on the way is worth a second look.
      if (tries === 1 && codeOf(error) === 'hbone.closed' && !pod.ended.aborted) continue;
      return giveUp(plan, error);
    }
    failed = { plan, error };
    if (resolved !== undefined && !isLast) {
      // Its name may stand for other addresses.
      triedAddresses ??= new Map();
      triedAddresses.set(drawn, new Set([...(triedAddresses.get(drawn) ?? []), resolved]));
      continue;
    }
    suspects.failed(podUid, drawn);
    (tried ??= new Set()).add(drawn);
    if (isLast) return allFailed(failed, tried.size);
    pod.log.debug('endpoint could not be reached, trying another', { endpoint: drawn, error: messageOf(error) });
  }
}

function planNow(request: ReachRequest, tried: ReadonlySet<WorkloadUid>): OutboundPlan {
  const { pod, own, sourceIp, destination, listenerIp } = request;
  return planOutbound({
    mesh: pod.mesh,
    own,
    sourceIp,
    destinationIp: destination.address,
    destinationPort: destination.port,
    listenerIp,
    random: pod.random,
    hbonePort,
    ownPorts,
    avoid: pod.suspects.avoidance(pod.target.pod.uid, tried),
  });
}

type Unresolved = Extract<OutboundPlan, { kind: 'resolve' }> & { readonly error: Error };

interface Located {
  readonly plan: Exclude<OutboundPlan, { kind: 'resolve' }> | Unresolved;
  /** The address that the endpoint's name stands for, where it is known by name alone. */
  readonly resolved?: string;
}

/** Finds the address of an endpoint that is known by name, one that was not tried. */
function located(
  plan: OutboundPlan,
  { pod, own }: ReachRequest,
  tried: ReadonlyMap<WorkloadUid, ReadonlySet<string>> | undefined,
): Located | Promise<Located> {
  if (plan.kind !== 'resolve') return { plan };
  const { hostname, allowed, preferred, drawn } = plan;
  pod.countNameLookup({ ...own, principal: identityOf(own) }, hostname);
  return pod.names.resolve(hostname, allowed, preferred, drawn && tried?.get(drawn)).then(
    (resolved) => {
      const found = plan.withAddress(resolved);
      if (found.kind === 'resolve') throw new Error('A plan with an address asks for none');
      // The address may be a service's of the mesh, with endpoints of its own to try.
      return found.kind !== 'refuse' && found.drawn === drawn ? { plan: found, resolved } : { plan: found };
    },
    (error: unknown) => ({ plan: { ...plan, error: error as Error } }),
  );
}

function dialPlan(plan: DialPlan, request: ReachRequest): Promise<Upstream> {
  return plan.kind === 'hbone' ? openTunnel(plan, request) : dialTcp(plan, request);
}

async function dialTcp({ ip, port }: { ip: string; port: number }, request: ReachRequest): Promise<Upstream> {
  const { pod, connection } = request;
  const { netns } = pod.target;
  const socket = await dial({
    ...(netns === undefined ? {} : { netns, mark: markOf(pod.target.pod) }),
    host: ip,
    port,
    timeoutMs: pod.limits.connectTimeoutMs,
    keepAliveMs: pod.limits.keepAliveMs,
    signal: connection.wait,
  });
  return { channel: tcpChannel(socket) };
}

type Outcome =
  | { readonly kind: 'done'; readonly by: Try; readonly upstream: Upstream }
  | { readonly kind: 'failed' }
  | { readonly kind: 'late' };

/** The first that answers; `failed` when the one of `until`, or all of them, cannot be reached. */
function firstOf(
  tries: readonly Try[],
  {
    until,
    timeoutMs,
    clock,
  }: { readonly until: Try | 'all'; readonly timeoutMs: number; readonly clock: PodContext['clock'] },
): Promise<Outcome> {
  return new Promise((resolve) => {
    const cancel = clock.after(timeoutMs, () => resolve({ kind: 'late' }));
    const settle = (outcome: Outcome): void => {
      cancel();
      resolve(outcome);
    };
    for (const one of tries) {
      one.upstream.then(
        (upstream) => settle({ kind: 'done', by: one, upstream }),
        (error: unknown) => {
          one.error ??= error as Error;
          if (one === until || tries.every((other) => other.error !== undefined)) settle({ kind: 'failed' });
        },
      );
    }
  });
}

async function settle(slow: readonly Try[], { pod, connection }: ReachRequest): Promise<Reached> {
  const { limits, suspects, clock } = pod;
  const timeoutMs = limits.answerTimeoutMs;
  const outcome = await firstOf(slow, { until: 'all', timeoutMs, clock });
  if (outcome.kind === 'done') {
    for (const other of slow) if (other !== outcome.by) abandon(other);
    const { plan } = outcome.by;
    if (plan.drawn !== undefined) suspects.worked(pod.target.pod.uid, plan.drawn);
    return { kind: 'reached', plan, upstream: outcome.upstream };
  }
  const last = slow.at(-1) as Try;
  const error = last.error ?? noAnswer(timeoutMs, last.plan);
  if (outcome.kind === 'late') connection.cut(error);
  return { kind: 'failed', plan: last.plan, error: connection.cutError ?? error };
}

/** Whoever it reaches later finds that nobody wants it any more. It ends by the pool's timeouts, or by the answer. */
function abandon({ upstream }: Try): void {
  upstream.then(
    ({ channel }) => channel.reset(),
    () => undefined,
  );
}

/** Another endpoint would say the same, or nobody is left to be served. */
function isFinal(error: Error): boolean {
  if (error instanceof HboneRefusedError) return error.status === 401;
  return ['identity.unavailable', 'hbone.aborted', 'net.aborted'].some((code) => hasCode(error, code));
}

function hasCode(error: unknown, code: string): boolean {
  for (let current = error; current instanceof Error; current = current.cause)
    if (codeOf(current) === code) return true;
  return false;
}

function allFailed({ plan, error }: { plan: OutboundPlan; error: Error }, tried: number): Reached {
  if (tried < 2) return { kind: 'failed', plan, error };
  const message = `none of ${tried} endpoints of ${plan.service?.hostname ?? 'it'} could be reached; the last: ${messageOf(error)}`;
  return {
    kind: 'failed',
    plan,
    error: new AmbitError(message, { code: 'outbound.all-failed', blame: 'upstream', cause: error }),
  };
}

function refusal(plan: Extract<OutboundPlan, { kind: 'refuse' }>): AmbitError {
  return new AmbitError(plan.message, { code: `outbound.${plan.reason}`, blame: 'upstream' });
}

function noAnswer(timeoutMs: number, plan: DialPlan): AmbitError {
  const waited = `no answer within ${timeoutMs / 1000} s`;
  if (plan.kind !== 'hbone') {
    return new AmbitError(`Cannot connect: ${waited}`, { code: 'net.connect-timeout', blame: 'upstream' });
  }
  return new AmbitError(
    `Cannot open tunnel: ${waited} (a NetworkPolicy may block port ${hbonePort}, or the endpoint is gone)`,
    { code: 'hbone.dial-timeout', blame: 'upstream' },
  );
}
