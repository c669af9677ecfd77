/** What of a pod's traffic is captured, as its annotations say: Istio's names for sidecars and for ambient, as far as they are safe here. */
import type { Pod } from '../../api/index.ts';
import { cidrContains, formatCidr, parseCidr, tryParseCidr, type Cidr } from '../../lib/ip.ts';

/** `all`, or these alone. */
type Selected<T> = 'all' | readonly T[];

export interface CaptureSettings {
  /** Ingress mode: plaintext to the pod is left alone. */
  readonly bypassInbound: boolean;
  readonly inboundPorts: Selected<number>;
  readonly excludedInboundPorts: readonly number[];
  /** To these alone, and to `outboundPorts` everywhere. */
  readonly outboundRanges: Selected<string>;
  readonly outboundPorts: readonly number[];
  readonly excludedOutboundRanges: readonly string[];
  readonly excludedOutboundPorts: readonly number[];
  /** Traffic over these interfaces of the pod is left alone. */
  readonly excludedInterfaces: readonly string[];
  /** What comes in over these is traffic of guests (virtual machines in the pod), captured as outbound. */
  readonly virtualInterfaces: readonly string[];
  /** Undefined: as the mesh has it. */
  readonly dnsCapture: boolean | undefined;
}

export interface CaptureReading {
  readonly settings: CaptureSettings;
  /** One sentence for each annotation that cannot be obeyed; what it would have let out is captured. */
  readonly problems: readonly string[];
}

export const captureAll: CaptureSettings = {
  bypassInbound: false,
  inboundPorts: 'all',
  excludedInboundPorts: [],
  outboundRanges: 'all',
  outboundPorts: [],
  excludedOutboundRanges: [],
  excludedOutboundPorts: [],
  excludedInterfaces: [],
  virtualInterfaces: [],
  dnsCapture: undefined,
};

/** Ports of the proxy itself: rules about them would cut the pod off, or do nothing. */
const proxyPorts: ReadonlySet<number> = new Set([15001, 15006, 15008, 15053]);
/** More than that belongs into policy. */
const maxEntries = 128;

/**
 * Reads the annotations. A value that is wrong in one part is not obeyed at all, so that nothing leaves the mesh by a typing mistake:
 * what should be included is then everything, and what should be excluded nothing.
 */
export function readCaptureSettings(pod: Pod): CaptureReading {
  const annotations = pod.metadata.annotations ?? {};
  const problems: string[] = [];

  const read = <T>(name: string, parse: (text: string) => T | string, fallback: T): T => {
    const text = annotations[name];
    if (text === undefined) return fallback;
    const value = parse(text.trim());
    if (typeof value !== 'string' || value === 'all') return value as T;
    problems.push(`annotation ${name} is "${text}": ${value}; it is not obeyed`);
    return fallback;
  };
  const bool = (name: string): boolean | undefined =>
    read<boolean | undefined>(
      name,
      (text) => (text === 'true' ? true : text === 'false' ? false : 'it is neither true nor false'),
      undefined,
    );

  const sidecar = 'traffic.sidecar.istio.io/';
  const settings: CaptureSettings = {
    bypassInbound: bool('ambient.istio.io/bypass-inbound-capture') ?? false,
    inboundPorts: read<Selected<number>>(`${sidecar}includeInboundPorts`, (text) => orAll(text, ports), 'all'),
    excludedInboundPorts: read(`${sidecar}excludeInboundPorts`, ports, []),
    outboundRanges: read<Selected<string>>(`${sidecar}includeOutboundIPRanges`, (text) => orAll(text, ranges), 'all'),
    outboundPorts: read(`${sidecar}includeOutboundPorts`, (text) => (text === '*' ? [] : ports(text)), []),
    excludedOutboundRanges: read(`${sidecar}excludeOutboundIPRanges`, excludedRanges, []),
    excludedOutboundPorts: read(`${sidecar}excludeOutboundPorts`, ports, []),
    excludedInterfaces: read(`${sidecar}excludeInterfaces`, interfaces, []),
    virtualInterfaces: read('istio.io/reroute-virtual-interfaces', interfaces, []),
    dnsCapture: bool('ambient.istio.io/dns-capture'),
  };
  return { settings, problems };
}

function orAll<R>(text: string, parse: (text: string) => R): R | 'all' {
  return text === '*' ? 'all' : parse(text);
}

function list(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** Sorted, each once; or what is wrong. */
function each<T>(text: string, parse: (part: string) => T | undefined, wrong: (part: string) => string): T[] | string {
  const parts = list(text);
  if (parts.length > maxEntries) return `it has more than ${maxEntries} entries`;
  const values: T[] = [];
  for (const part of parts) {
    const value = parse(part);
    if (value === undefined) return wrong(part);
    if (!values.includes(value)) values.push(value);
  }
  return values;
}

function ports(text: string): readonly number[] | string {
  const parsed = each(
    text,
    (part) => (/^\d{1,5}$/.test(part) && Number(part) >= 1 && Number(part) <= 65_535 ? Number(part) : undefined),
    (part) => `"${part}" is no port`,
  );
  if (typeof parsed === 'string') return parsed;
  const own = parsed.find((port) => proxyPorts.has(port));
  return own === undefined ? parsed.toSorted((a, b) => a - b) : `port ${own} is the proxy's own`;
}

function ranges(text: string): readonly string[] | string {
  const parsed = each(
    text,
    (part) => {
      const cidr = tryParseCidr(part);
      return cidr && formatCidr(cidr);
    },
    (part) => `"${part}" is no CIDR`,
  );
  return typeof parsed === 'string' ? parsed : withoutCovered(parsed).toSorted();
}

/** Sets of rules refuse blocks that overlap. */
function withoutCovered(blocks: readonly string[]): string[] {
  const parsed = blocks.map((block) => parseCidr(block));
  const covers = (a: Cidr, b: Cidr): boolean => a.prefixLength < b.prefixLength && cidrContains(a, b.address);
  return blocks.filter((_, i) => !parsed.some((other) => covers(other, parsed[i] as Cidr)));
}

function excludedRanges(text: string): readonly string[] | string {
  const parsed = ranges(text);
  if (typeof parsed === 'string') return parsed;
  const all = parsed.find((range) => range.endsWith('/0'));
  // Nobody should leave the mesh without the labels saying so.
  return all === undefined ? parsed : `"${all}" is everything: label the pod istio.io/dataplane-mode=none instead`;
}

function interfaces(text: string): readonly string[] | string {
  const parsed = each(
    text,
    // IFNAMSIZ; and nothing that a rule file would read as more than a name.
    (part) => (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/.test(part) && part !== 'lo' ? part : undefined),
    (part) => `"${part}" is no name of an interface`,
  );
  return typeof parsed === 'string' ? parsed : parsed.toSorted();
}
