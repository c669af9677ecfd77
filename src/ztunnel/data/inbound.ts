/** What inbound HBONE and inbound plaintext share: policy, the dial to the application, the pump. */
import { isIPv6 } from 'node:net';
import { AmbitError } from '../../lib/errors.ts';
import { isLoopback, parseIp } from '../../lib/ip.ts';
import { dial, listeningAddresses, tcpChannel, type ByteChannel } from '../../net/index.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import type { SourcePrincipal } from '../../policy/index.ts';
import { denialError } from './authorize.ts';
import type { Connection } from './connections.ts';
import type { PodContext } from './data-context.ts';
import { markOf } from '../ports.ts';

export interface InboundTarget {
  readonly ip: string;
  readonly port: number;
}

/**
 * Registers the connection for re-checks, then asks the policies: a change in between cannot be missed.
 * Returns the policy that allowed it. Throws `policy.denied`.
 */
export async function authorizeInbound(options: {
  readonly pod: PodContext;
  readonly connection: Connection;
  readonly own: MeshWorkload;
  readonly sourceIp: string;
  readonly source: SourcePrincipal | undefined;
  readonly target: InboundTarget;
}): Promise<{ policy: string | undefined }> {
  const { pod, connection, own, sourceIp, source, target } = options;
  connection.authorize({ own, facts: { sourceIp, source, destinationIp: target.ip, destinationPort: target.port } });
  const decision = await pod.authorizer.decide(connection);
  if (connection.cutError) throw connection.cutError;
  if (decision.kind === 'allow') return { policy: decision.policy };
  throw new DeniedError(decision.reason, decision.kind === 'deny' ? decision.policy : undefined);
}

/** A refusal by policy, with the policy that said so. */
export class DeniedError extends AmbitError {
  readonly reason: string;
  readonly policy: string | undefined;

  constructor(reason: string, policy: string | undefined) {
    super(denialError(reason).message, { code: 'policy.denied', blame: 'downstream' });
    this.reason = reason;
    this.policy = policy;
  }
}

/** Connects to the application. It sees the client's own address, where the in-pod rules can bring the answers back. */
export async function dialApplication(options: {
  readonly pod: PodContext;
  readonly connection: Connection;
  readonly sourceIp: string;
  readonly target: InboundTarget;
  /** What is behind an application tunnel may listen on loopback alone, and is told the client by the PROXY protocol. */
  readonly atLoopback?: boolean;
}): Promise<ByteChannel> {
  const { pod, connection, sourceIp, target, atLoopback = false } = options;
  const { netns } = pod.target;
  const keepsSource =
    netns !== undefined && !atLoopback && sourceIp !== target.ip && isIPv6(sourceIp) === isIPv6(target.ip);
  const loopback = isIPv6(target.ip) ? '::1' : '127.0.0.1';
  try {
    const socket = await dial({
      ...(netns === undefined ? {} : { netns, mark: markOf(pod.target.pod) }),
      ...(keepsSource ? { localIp: sourceIp, transparent: true } : {}),
      host: atLoopback ? loopback : target.ip,
      port: target.port,
      timeoutMs: pod.limits.connectTimeoutMs,
      signal: connection.wait,
    });
    return tcpChannel(socket);
  } catch (error) {
    throw explainDial(error, target, pod);
  }
}

/** Tells a person where the application listens instead, where nobody listens at the port. */
function explainDial(error: unknown, { ip, port }: InboundTarget, pod: PodContext): unknown {
  if (!(error instanceof AmbitError) || error.code !== 'net.connection-refused') return error;
  const listening = listensAt(pod, port).filter((address) => address !== ip);
  let hint = `nothing in the pod listens on port ${port}`;
  if (listening.length > 0) {
    hint = `the application listens on ${listening.join(' and ')} only`;
    if (listening.every((address) => isLoopback(parseIp(address)))) hint += ", not on the pod's address";
  }
  return new AmbitError(`${error.message}: ${hint}`, { code: 'inbound.not-listening', blame: 'upstream' });
}

/** A pod that refuses everything is not read again for each refusal. */
const lookAgainMs = 2000;
const maxPortsLookedAt = 256;
const looked = new WeakMap<PodContext, Map<number, { addresses: readonly string[]; atMs: number }>>();

function listensAt(pod: PodContext, port: number): readonly string[] {
  const byPort = looked.get(pod) ?? new Map<number, { addresses: readonly string[]; atMs: number }>();
  looked.set(pod, byPort);
  const atMs = pod.clock.nowMs();
  const known = byPort.get(port);
  if (known && atMs - known.atMs < lookAgainMs) return known.addresses;
  if (byPort.size >= maxPortsLookedAt) byPort.clear();
  const addresses = pod.ended.aborted ? [] : listeningAddresses(pod.target.netns, port);
  byPort.set(port, { addresses, atMs });
  return addresses;
}
