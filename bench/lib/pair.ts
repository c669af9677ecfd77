/** A pair of proxies between the load and the echo server: plain in, mutual TLS between them, plain out. */

export interface ProxyPair {
  readonly name: string;
  /** Where the load connects, on 127.0.0.1. */
  readonly port: number;
  /** The outbound proxy, then the inbound one. */
  readonly pids: readonly [number, number];
  stop(): Promise<void>;
}

export interface PairOptions {
  /** For certificates, configuration and logs. */
  readonly dir: string;
  readonly echoPort: number;
}

/** "Two small nodes": the outbound proxy shares a core with the load, the inbound one with the echo server. */
export const outboundCore = 0;
export const inboundCore = 1;

export const clientIdentity = 'spiffe://cluster.local/ns/bench/sa/client';
export const serverIdentity = 'spiffe://cluster.local/ns/bench/sa/server';
