/** Which of a rule's destinations takes a request or a connection. Pure. */
import type { TcpRule, TlsRule, WeightedDestination } from '../../api/l7/index.ts';
import { cidrContains, parseCidr, tryParseIp } from '../../lib/ip.ts';

/** `draw` is 0 to 1 (exclusive). Undefined: all weights are zero. */
export function drawDestination(
  destinations: readonly WeightedDestination[],
  draw: number,
): WeightedDestination | undefined {
  if (destinations.length === 1) return destinations[0]?.weight === 0 ? undefined : destinations[0];
  let total = 0;
  for (const { weight } of destinations) total += weight;
  let left = draw * total;
  for (const destination of destinations) {
    if (destination.weight === 0) continue;
    left -= destination.weight;
    if (left < 0) return destination;
  }
  return undefined;
}

/** A connection as TCP and TLS rules see it. */
export interface ConnectionToRoute {
  readonly destinationAddress: string;
  readonly port: number;
  readonly sourceNamespace: string | undefined;
  /** Of TLS that is passed through. */
  readonly sni: string | undefined;
}

export function pickTlsRule(rules: readonly TlsRule[], connection: ConnectionToRoute): TlsRule | undefined {
  const { sni, port, destinationAddress } = connection;
  if (sni === undefined) return undefined;
  const name = sni.toLowerCase();
  // The most specific name wins, whatever the order.
  let best: { readonly rule: TlsRule; readonly length: number } | undefined;
  for (const rule of rules) {
    if (rule.port !== undefined && rule.port !== port) continue;
    if (!inSubnets(destinationAddress, rule.destinationSubnets)) continue;
    for (const host of rule.sniHosts) {
      const length = specificity(host.toLowerCase(), name);
      if (length >= 0 && (!best || length > best.length)) best = { rule, length };
    }
  }
  return best?.rule;
}

export function pickTcpRule(rules: readonly TcpRule[], connection: ConnectionToRoute): TcpRule | undefined {
  return rules.find(
    ({ port, destinationSubnets, sourceNamespace }) =>
      (port === undefined || port === connection.port) &&
      (sourceNamespace === undefined || sourceNamespace === connection.sourceNamespace) &&
      inSubnets(connection.destinationAddress, destinationSubnets),
  );
}

/** Longer is more specific; an exact name beats all; -1: does not fit. */
function specificity(pattern: string, name: string): number {
  if (pattern === name) return Number.MAX_SAFE_INTEGER;
  if (pattern === '*') return 0;
  if (!pattern.startsWith('*')) return -1;
  const suffix = pattern.slice(1);
  return name.length > suffix.length && name.endsWith(suffix) ? suffix.length : -1;
}

function inSubnets(address: string, subnets: readonly string[]): boolean {
  if (subnets.length === 0) return true;
  const ip = tryParseIp(address);
  return ip !== undefined && subnets.some((subnet) => cidrContains(parseCidr(subnet), ip));
}
