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

/** A dial under way that took too long to wait for it alone. */
interface Try {
  readonly plan: DialPlan;
  readonly upstream: Promise<Upstream>;
}

const noneTried: ReadonlySet<WorkloadUid> = new Set();

/**
 * Bounded: `maxTries` endpoints, each dialled for `tryTimeoutMs` while there are others, the last one up to `answerTimeoutMs`.
 * Nothing of the client's is sent before an endpoint answered, so that another try repeats nothing.
 */
export async function reach(request: ReachRequest): Promise<Reached> {
  const { connection, pod } = request;
  const { limits, suspects, clock } = pod;
  const podUid = pod.target.pod.uid;
  let tried: Set<WorkloadUid> | undefined;
  let failed: { readonly plan: OutboundPlan; readonly error: Error } | undefined;
  let slow: Try | undefined;
  for (let tries = 1; ; tries++) {
    const plan = await located(planNow(request, tried ?? noneTried), request);
    if (plan.kind === 'refuse') {
      // Nobody else is there: the one that is slow may still answer, and the last failure says more than "no endpoint".
      if (slow) return settle(slow, limits.answerTimeoutMs, request);
      return failed ? allFailed(failed, tried?.size ?? 0) : { kind: 'failed', plan, error: refusal(plan) };
    }
    abandon(slow);
    slow = undefined;
    const { drawn } = plan;
    const isLast = drawn === undefined || tries >= limits.maxTries;
    let error: Error;
    if (plan.kind === 'resolve') error = plan.error;
    else {
      const started: Try = { plan, upstream: dialPlan(plan, request) };
      const outcome = await within(started.upstream, isLast ? limits.answerTimeoutMs : limits.tryTimeoutMs, clock);
      if (outcome.kind === 'done') {
        if (drawn !== undefined) suspects.worked(podUid, drawn);
        return { kind: 'reached', plan, upstream: outcome.value };
      }
      if (outcome.kind === 'late') {
        error = noAnswer(isLast ? limits.answerTimeoutMs : limits.tryTimeoutMs, plan);
        // Nobody else to ask: the end of the connection ends what is still under way for it.
        if (isLast) connection.cut(error);
        else slow = started;
      } else error = outcome.error;
    }
    if (connection.cutError) return { kind: 'failed', plan, error: connection.cutError };
    if (isFinal(error)) return { kind: 'failed', plan, error };
    if (drawn === undefined) {
      // The one place to go to; only a connection that was lost on the way is worth a second look.
      if (tries === 1 && codeOf(error) === 'hbone.closed' && !pod.ended.aborted) continue;
      return { kind: 'failed', plan, error };
    }
    suspects.failed(podUid, drawn);
    (tried ??= new Set()).add(drawn);
    failed = { plan, error };
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

/** Finds the address of an endpoint that is known by name. */
function located(
  plan: OutboundPlan,
  { pod, own }: ReachRequest,
): Exclude<OutboundPlan, { kind: 'resolve' }> | Promise<Exclude<OutboundPlan, { kind: 'resolve' }> | Unresolved> {
  if (plan.kind !== 'resolve') return plan;
  pod.countNameLookup({ ...own, principal: identityOf(own) }, plan.hostname);
  return pod.names.resolve(plan.hostname, plan.allowed, plan.preferred).then(
    (ip) => {
      const located = plan.withAddress(ip);
      if (located.kind === 'resolve') throw new Error('A plan with an address asks for none');
      return located;
    },
    (error: unknown) => ({ ...plan, error: error as Error }),
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
    signal: connection.signal,
  });
  return { channel: tcpChannel(socket) };
}

type Outcome<T> = { kind: 'done'; value: T } | { kind: 'failed'; error: Error } | { kind: 'late' };

function within<T>(work: Promise<T>, timeoutMs: number, clock: PodContext['clock']): Promise<Outcome<T>> {
  return new Promise((resolve) => {
    const cancel = clock.after(timeoutMs, () => resolve({ kind: 'late' }));
    work.then(
      (value) => {
        cancel();
        resolve({ kind: 'done', value });
      },
      (error: unknown) => {
        cancel();
        resolve({ kind: 'failed', error: error as Error });
      },
    );
  });
}

async function settle(slow: Try, timeoutMs: number, { pod, connection }: ReachRequest): Promise<Reached> {
  const { plan } = slow;
  const outcome = await within(slow.upstream, timeoutMs, pod.clock);
  if (outcome.kind === 'done') return { kind: 'reached', plan, upstream: outcome.value };
  const error = outcome.kind === 'late' ? noAnswer(timeoutMs, plan) : outcome.error;
  if (outcome.kind === 'late') connection.cut(error);
  return { kind: 'failed', plan, error: connection.cutError ?? error };
}

/** Whoever it reaches later finds that nobody wants it any more. It ends by the pool's timeouts, or by the answer. */
function abandon(slow: Try | undefined): void {
  slow?.upstream.then(
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
