/**
 * Puts the CA of our webhook where the API server looks for it, and makes the webhook count once it serves: it is
 * registered with `failurePolicy: Ignore`, so that nothing waits for a control plane that has never been there.
 */
import type { ValidatingWebhookConfiguration } from '../api/admission.ts';
import { kinds } from '../api/kinds.ts';
import { startInformer, type Informer, type InformerMetrics, type KubeClient } from '../kube/index.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { createWorkQueue } from './work-queue.ts';

export interface WebhookRegistrationOptions {
  readonly client: KubeClient;
  /** Of the ValidatingWebhookConfiguration. */
  readonly name: string;
  /** Read at each look. */
  readonly rootPem: () => string;
  readonly isLeader: () => boolean;
  readonly metrics: InformerMetrics;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly log: Log;
}

export interface WebhookRegistration {
  /** This replica leads from now on, or the webhook serves: the registration is looked at. */
  check(): void;
}

export function webhookConfigurationName(namespace: string): string {
  return `istio-validator-${namespace}`;
}

export function startWebhookRegistration(options: WebhookRegistrationOptions): WebhookRegistration {
  const { client, name, rootPem, isLeader, metrics, clock, signal, log } = options;
  const reconcile = async (): Promise<void> => {
    const current = configurations.store.get(name);
    if (!current || !isLeader()) return;
    const wanted = registered(current, rootPem());
    if (!wanted) return;
    await client.patch(
      kinds.ValidatingWebhookConfiguration,
      name,
      undefined,
      { metadata: { resourceVersion: current.metadata.resourceVersion }, webhooks: wanted },
      { type: 'merge', fieldManager: 'istiod', signal },
    );
    log.info('the admission webhook is registered', { configuration: name });
  };
  const queue = createWorkQueue({ name: 'webhook registration', reconcile, signal, log, clock });
  const configurations: Informer<ValidatingWebhookConfiguration> = startInformer(
    client,
    kinds.ValidatingWebhookConfiguration,
    {
      fieldSelector: `metadata.name=${name}`,
      metrics,
      signal,
      log,
      onAdd: () => queue.add(name),
      onUpdate: () => queue.add(name),
    },
  );
  return { check: () => queue.add(name) };
}

/** The webhooks to write, or undefined when they are right. Pure. */
export function registered(
  { webhooks = [] }: ValidatingWebhookConfiguration,
  rootPem: string,
): ValidatingWebhookConfiguration['webhooks'] | undefined {
  const caBundle = Buffer.from(rootPem).toString('base64');
  const isRight = webhooks.every((hook) => hook.failurePolicy === 'Fail' && hook.clientConfig.caBundle === caBundle);
  if (isRight) return undefined;
  return webhooks.map((hook) => ({
    ...hook,
    failurePolicy: 'Fail' as const,
    clientConfig: { ...hook.clientConfig, caBundle },
  }));
}
