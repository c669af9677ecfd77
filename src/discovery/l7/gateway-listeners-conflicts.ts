/**
 * Listeners of one port that cannot stand beside one another (Gateway API: all of those in conflict are refused, none wins). Pure.
 */
import type { Gateway } from '../../api/gateway.ts';

type GatewayListener = Gateway['spec']['listeners'][number];

export interface ListenerConflict {
  readonly reason: 'ProtocolConflict' | 'HostnameConflict';
  readonly message: string;
}

/** By the name of the listener. */
export function conflictsOf(listeners: readonly GatewayListener[]): ReadonlyMap<string, ListenerConflict> {
  const conflicts = new Map<string, ListenerConflict>();
  for (const [index, one] of listeners.entries()) {
    for (const other of listeners.slice(index + 1)) {
      const reason = conflictOf(one, other);
      if (!reason) continue;
      tell(one, other, reason);
      tell(other, one, reason);
    }
  }
  return conflicts;

  function tell(of: GatewayListener, other: GatewayListener, reason: ListenerConflict['reason']): void {
    if (conflicts.has(of.name)) return;
    const what = reason === 'HostnameConflict' ? `host name ${of.hostname ?? '*'}` : `protocol ${other.protocol}`;
    conflicts.set(of.name, { reason, message: `listener ${other.name} has port ${of.port} with ${what}` });
  }
}

function conflictOf(a: GatewayListener, b: GatewayListener): ListenerConflict['reason'] | undefined {
  // Datagrams have ports of their own.
  if (a.port !== b.port || (a.protocol === 'UDP') !== (b.protocol === 'UDP')) return undefined;
  if (family(a.protocol) !== family(b.protocol) || family(a.protocol) === 'TCP') return 'ProtocolConflict';
  return (a.hostname || '*').toLowerCase() === (b.hostname || '*').toLowerCase() ? 'HostnameConflict' : undefined;
}

/** Listeners of one family on one port are told apart by host name. */
function family(protocol: string): string {
  return protocol === 'HTTPS' ? 'TLS' : protocol;
}
