/** Pool key: two flows share a tunnel connection only when all of this is equal (performance rule 11). */

/** What the pool needs of a key: equal `id`, shared connection. Whoever dials puts the rest into its own type. */
export interface PoolKey {
  readonly id: string;
}

export interface TunnelKeyParts {
  /** UID of the source pod: two pods never share a connection, whatever else is equal. */
  readonly sourcePod: string;
  readonly sourceIp: string;
  readonly sourceIdentity: string;
  readonly network: string;
  /** `ip:port` that is dialed. */
  readonly destination: string;
  /** In order of preference; any of them may answer. */
  readonly expectedIdentities: readonly string[];
  /** Changes when the source's certificate or its roots do. */
  readonly trustGeneration: number;
  readonly worker: number;
}

/** The `id` of a key: no part can run into another. */
export function poolKeyId(parts: TunnelKeyParts): string {
  return [
    parts.sourcePod,
    parts.sourceIp,
    parts.sourceIdentity,
    parts.network,
    parts.destination,
    parts.expectedIdentities.join(','),
    parts.trustGeneration,
    parts.worker,
  ].join('\n');
}
