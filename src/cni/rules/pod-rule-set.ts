/** What the packet rules inside one pod's network namespace should do, whatever program writes them. */
import type { CaptureSettings } from './capture-settings.ts';

export type DnsRedirect =
  | { readonly kind: 'off' }
  /** Every query goes to port 15053: the proxy asks its own resolver. */
  | { readonly kind: 'everything' }
  /** Queries to `nameservers[i]` go to port 15053 + i; others are left alone, because only who was asked can answer them. */
  | { readonly kind: 'nameservers'; readonly nameservers: readonly string[] };

export interface PodRuleSet {
  /** Probes arrive from these addresses, and are not captured. */
  readonly probeIp4: string;
  readonly probeIp6: string;
  /** Where the node cannot give probes an address of their own: its own addresses, and the ports that it probes. */
  readonly probesFrom: { readonly ips: readonly string[]; readonly ports: readonly number[] } | undefined;
  readonly capture: CaptureSettings;
  /** Connections of sockets with exactly this mark are the proxy's own. Nobody else in the pod knows it. */
  readonly mark: number;
  /** A proxy that knows no mark of its own uses 1337, as anybody in the pod could. */
  readonly plainMark: boolean;
  readonly dns: DnsRedirect;
}

export const outboundPort = 15001;
export const plaintextPort = 15006;
export const hbonePort = 15008;
export const dnsPort = 15053;

/** Istio's marks: of a proxy's own packets, and of connections whose answers must come back to it. */
export const wellKnownMark = 0x539;
export const returnMark = 0x111;
export const markMask = 0xfff;

/** New connections with other marks: so many a second that nobody is hindered and nobody finds the mark by trying. */
export const foreignMarksPerSecond = 100;
export const foreignMarkBurst = 200;
