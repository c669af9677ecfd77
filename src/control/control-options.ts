/** What the control plane is started with, and what it then is to whoever started it. */
import type { ClusterId } from '../api/names.ts';
import type { KubeClient } from '../kube/index.ts';
import type { Cidr } from '../lib/ip.ts';
import type { Log } from '../lib/log.ts';
import type { ProxyValues } from './deployer/index.ts';

export interface ControlOptions {
  readonly client: KubeClient;
  /** xDS and CA, gRPC over TLS. */
  readonly listen: { readonly host: string; readonly port: number };
  /** The admission webhook, HTTPS. */
  readonly webhook: { readonly host: string; readonly port: number };
  /** /metrics and /readyz. */
  readonly monitoring: { readonly host: string; readonly port: number };
  /** IP addresses in the serving certificate, besides the Service's DNS names. */
  readonly servingIps: readonly string[];
  readonly namespace?: string;
  readonly trustDomain?: string;
  readonly clusterDomain?: string;
  readonly clusterId?: ClusterId;
  /** `<namespace>/<service account>` of ztunnels: who may read WDS and act for the pods of its node. */
  readonly trustedAccounts?: readonly string[];
  /** Of this replica among its like: the pod's name. */
  readonly identity: string;
  /** Of the proxies that are deployed for Gateways. */
  readonly proxies?: ProxyValues;
  /** Whether GatewayClasses of Istio's names are ours too; not beside an istiod. Default true. */
  readonly hasIstioClasses?: boolean;
  /** Configuration with another `istio.io/rev` is not for this control plane. Default `default`. */
  readonly revision?: string;
  /** Where keys of token issuers are never fetched from, besides this machine and its link. Default: nowhere else. */
  readonly blockedJwksCidrs?: readonly Cidr[];
  readonly log: Log;
  /** Ends everything. */
  readonly signal: AbortSignal;
}

export interface RunningControl {
  readonly port: number;
  readonly monitoringPort: number;
  readonly webhookPort: number;
  readonly rootPem: string;
  /** Resolves when everything has ended after the signal. */
  readonly done: Promise<void>;
}
