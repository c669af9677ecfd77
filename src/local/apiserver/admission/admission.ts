/** Asks the validating webhooks about writes, before anything is stored. */
import type {
  AdmissionRequest,
  EndpointSlice,
  KindInfo,
  KubeObject,
  Service,
  ValidatingWebhook,
  ValidatingWebhookConfiguration,
} from '../../../api/index.ts';
import { messageOf } from '../../../lib/errors.ts';
import type { Log } from '../../../lib/log.ts';
import { objectInVersion } from '../served-kinds.ts';
import { badRequest, deniedByWebhook, webhookFailed } from '../status-error.ts';
import type { ObjectStore } from '../store.ts';
import type { User } from '../user.ts';
import { callWebhook, type ServiceEndpoint } from './webhook-call.ts';
import { wantedVersion, type AdmittedWrite } from './webhook-match.ts';

const registrationGroup = 'admissionregistration.k8s.io';
const storedConfigurations = `validatingwebhookconfigurations.${registrationGroup}`;

export interface AdmissionOptions {
  readonly user: User;
  readonly dryRun: boolean;
  readonly warn: (message: string) => void;
}

export class Admission {
  readonly #store: ObjectStore;
  readonly #log: Log;
  #webhooks: readonly ValidatingWebhook[] | undefined;

  /** Watches the store for as long as it lives. */
  constructor(store: ObjectStore, log: Log) {
    this.#store = store;
    this.#log = log.child('admission');
    store.watch(storedConfigurations, store.revision, () => (this.#webhooks = undefined));
  }

  /** Whether any webhook could want to hear of writes of this kind: most kinds have none. */
  concerns({ group, plural }: Pick<KindInfo, 'group' | 'plural'>): boolean {
    // Webhooks must not be able to lock out those who would mend them.
    if (group === registrationGroup) return false;
    return this.#all().some((webhook) =>
      (webhook.rules ?? []).some(
        ({ apiGroups, resources }) =>
          (apiGroups.includes('*') || apiGroups.includes(group)) &&
          resources.some((resource) => ['*', plural].includes(resource.split('/')[0] ?? '')),
      ),
    );
  }

  /** Resolves when nobody objects. Throws what Kubernetes answers when somebody does, or cannot be asked. */
  async review(write: AdmittedWrite, options: AdmissionOptions): Promise<void> {
    const namespace = this.#store.get('namespaces', '', write.namespace)?.object;
    const labels = namespace ? (namespace.metadata.labels ?? {}) : undefined;
    const calls = this.#all().flatMap((webhook) => {
      const version = wantedVersion(webhook, write, labels);
      return version === undefined ? [] : [this.#ask(webhook, { ...write.kind, version }, write, options)];
    });
    const refusals = (await Promise.all(calls)).filter((refusal) => refusal !== undefined);
    if (refusals[0]) throw refusals[0];
  }

  /** The error to answer, if the webhook objects. */
  async #ask(
    webhook: ValidatingWebhook,
    kind: KindInfo,
    write: AdmittedWrite,
    { user, dryRun, warn }: AdmissionOptions,
  ): Promise<Error | undefined> {
    if (dryRun && !['None', 'NoneOnDryRun'].includes(webhook.sideEffects))
      return badRequest(`admission webhook "${webhook.name}" does not support dry run`);
    const inVersion = (object: KubeObject | undefined): KubeObject | null =>
      object === undefined ? null : objectInVersion(object, kind);
    const request: Omit<AdmissionRequest, 'uid'> = {
      kind: { group: kind.group, version: kind.version, kind: kind.kind },
      resource: { group: kind.group, version: kind.version, resource: kind.plural },
      ...(write.subresource === '' ? {} : { subResource: write.subresource }),
      name: write.name,
      ...(write.namespace === '' ? {} : { namespace: write.namespace }),
      operation: write.operation,
      userInfo: {
        username: user.username,
        groups: [...user.groups],
        ...(user.uid === undefined ? {} : { uid: user.uid }),
      },
      object: inVersion(write.object),
      oldObject: inVersion(write.oldObject),
      dryRun,
    };
    try {
      const response = await callWebhook(webhook, request, (...service) => this.#resolve(...service));
      for (const warning of response.warnings ?? []) warn(warning);
      return response.allowed ? undefined : deniedByWebhook(webhook.name, response.status);
    } catch (error) {
      const fields = { webhook: webhook.name, error: messageOf(error) };
      if (webhook.failurePolicy === 'Ignore') {
        this.#log.warn('a webhook could not be asked, and is ignored', fields);
        return undefined;
      }
      this.#log.warn('a webhook could not be asked: the write is refused', fields);
      return webhookFailed(webhook.name, messageOf(error));
    }
  }

  #all(): readonly ValidatingWebhook[] {
    return (this.#webhooks ??= this.#store
      .list(storedConfigurations)
      .flatMap(({ object }) => (object as ValidatingWebhookConfiguration).webhooks ?? []));
  }

  #resolve(namespace: string, name: string, port: number): ServiceEndpoint {
    const service = this.#store.get('services', namespace, name)?.object as Service | undefined;
    if (!service) throw new Error(`service "${name}" not found`);
    const servicePort = service.spec?.ports?.find((candidate) => candidate.port === port);
    if (!servicePort) throw new Error(`no service port ${port} found for service "${name}"`);
    const slices = this.#store
      .list('endpointslices.discovery.k8s.io', namespace)
      .map(({ object }) => object as EndpointSlice);
    for (const { metadata, endpoints, ports } of slices) {
      if (metadata.labels?.['kubernetes.io/service-name'] !== name) continue;
      const found = ports?.find((candidate) => (candidate.name ?? '') === (servicePort.name ?? ''));
      const endpoint = endpoints.find(({ conditions }) => conditions?.ready !== false);
      const [host] = endpoint?.addresses ?? [];
      if (found?.port !== undefined && host !== undefined) return { host, port: found.port };
    }
    throw new Error(`no endpoints available for service "${name}"`);
  }
}
