/** What inbound HBONE and inbound plaintext share: policy, the dial to the application, the pump. */
import { isIPv6 } from 'node:net';
import { AmbitError } from '../../lib/errors.ts';
import { dial, tcpChannel, type ByteChannel } from '../../net/index.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import type { SourcePrincipal } from '../../policy/index.ts';
import { denialError } from './authorize.ts';
import type { Connection } from './connections.ts';
import type { PodContext } from './data-context.ts';
import { proxyMark } from '../ports.ts';

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
}): Promise<ByteChannel> {
  const { pod, connection, sourceIp, target } = options;
  const { netns } = pod.target;
  const keepsSource = netns !== undefined && sourceIp !== target.ip && isIPv6(sourceIp) === isIPv6(target.ip);
  const socket = await dial({
    ...(netns === undefined ? {} : { netns, mark: proxyMark }),
    ...(keepsSource ? { localIp: sourceIp, transparent: true } : {}),
    host: target.ip,
    port: target.port,
    timeoutMs: pod.limits.connectTimeoutMs,
    signal: connection.signal,
  });
  return tcpChannel(socket);
}
