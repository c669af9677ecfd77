/** What the control plane serves: discovery and certificates on 15012, admission on 15017, with a certificate that is renewed. */
import { registerCertificateService, type RotatingAuthority } from '../ca/index.ts';
import { defaultRevision } from '../discovery/index.ts';
import type { Log } from '../lib/log.ts';
import { createRpcServer } from '../rpc/index.ts';
import type { DeltaServer } from '../xds/index.ts';
import type { AuthorityExpiry } from './authority-expiry.ts';
import type { ControlOptions } from './control-options.ts';
import type { DiscoveryClient } from './discovery-service.ts';
import { registerKeyService, type KeyServiceOptions } from './key-service.ts';
import { issueServingCertificate } from './serving-certificate.ts';
import { startWebhookServer, type WebhookServerOptions } from './webhook-server.ts';

export interface ServingOptions extends Pick<ControlOptions, 'listen' | 'webhook' | 'servingIps'> {
  readonly authority: RotatingAuthority;
  readonly authorize: Parameters<typeof registerCertificateService>[1]['authorize'];
  readonly deltas: DeltaServer<DiscoveryClient>;
  readonly inMesh: NonNullable<WebhookServerOptions['inMesh']>;
  readonly warn?: NonNullable<WebhookServerOptions['warn']>;
  readonly metrics: NonNullable<WebhookServerOptions['metrics']>;
  readonly expiry: AuthorityExpiry;
  readonly keys: KeyServiceOptions;
  readonly names: { readonly namespace: string; readonly clusterDomain: string; readonly revision: string };
  readonly signal: AbortSignal;
  readonly log: Log;
}

export interface Serving {
  readonly webhookPort: number;
  /** Opens 15012; resolves with the port. */
  open(): Promise<number>;
  close(): Promise<void>;
}

/** Callers come back and prove themselves again; what they hold is not sent twice. */
const maxConnectionAgeMs = 30 * 60_000;
/** What callers get to end by themselves. */
const closeMs = 500;

/** Resolves when the webhook is open. */
export async function startServing(options: ServingOptions): Promise<Serving> {
  const { authority, authorize, deltas, expiry, inMesh, metrics, signal, log } = options;
  const certificate = await issueServingCertificate({
    authority,
    dnsNames: servingNames(options.names),
    ips: options.servingIps,
    signal,
    log,
  });
  expiry.setServing(certificate.first.chainPem);
  const clientRootsPem = authority.rootPem;
  const server = createRpcServer({ certificate: certificate.first, clientRootsPem, log, maxConnectionAgeMs });
  const webhook = await startWebhookServer({
    ...options.webhook,
    certificate: certificate.first,
    inMesh,
    ...(options.warn ? { warn: options.warn } : {}),
    metrics,
    log,
  });
  certificate.onRenewed((next) => {
    server.setCertificate(next);
    webhook.setCertificate(next);
    expiry.setServing(next.chainPem);
  });
  authority.onChange(() => server.setClientRoots(authority.rootPem));
  // While the webhook started, as well.
  if (authority.rootPem !== clientRootsPem) server.setClientRoots(authority.rootPem);
  registerCertificateService(server, { authority, authorize, log });
  deltas.register(server);
  registerKeyService(server, options.keys);
  return {
    webhookPort: webhook.port,
    open: () => server.listen(options.listen),
    async close() {
      await Promise.all([server.close(closeMs), webhook.close()]);
    },
  };
}

/** Also by the name of its revision's Service, which every one but the default has. */
function servingNames({ namespace, clusterDomain, revision }: ServingOptions['names']): string[] {
  const services = revision === defaultRevision ? ['istiod'] : ['istiod', `istiod-${revision}`];
  const names = services.flatMap((name) => {
    const service = `${name}.${namespace}.svc`;
    return [service, `${service}.${clusterDomain}`, `${name}.${namespace}`];
  });
  return [...names, 'localhost'];
}
