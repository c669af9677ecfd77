/**
 * The mesh's CA material: Secret `cacerts` if somebody gave it, else `istio-ca-secret`, made once by whoever comes
 * first. Both are watched: what changes is taken up without a restart, what is broken is refused while the last good
 * material goes on.
 */
import type { ConfigMap, Secret } from '../api/core.ts';
import { kinds } from '../api/kinds.ts';
import {
  chainsTo,
  createRoot,
  createRotatingAuthority,
  fingerprint,
  mergeRoots,
  openMaterial,
  type CertificateAuthority,
  type HeldSigner,
  type RetiringRoots,
  type RotatingAuthority,
} from '../ca/index.ts';
import { isKubeError, startInformer, type EventRecorder, type Informer, type KubeClient } from '../kube/index.ts';
import { systemClock, type Clock } from '../lib/clock.ts';
import { AmbitError, messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { publishedTrust, rootCertConfigMap, type PublishedTrust } from './root-cert-config-maps.ts';

export interface AuthorityOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly trustDomain: string;
  readonly events: Pick<EventRecorder, 'emit'>;
  /** Told of each material that was looked at; `problem` is absent when it is in force. */
  readonly onMaterial?: (problem: string | undefined) => void;
  readonly clock?: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const givenSecret = 'cacerts';
const ownSecret = 'istio-ca-secret';
/** On `cacerts`: how long new roots are published before anything is signed under them. `0s`: at once, old ones end. */
const introductionAnnotation = 'ambit.io/root-introduction';
/** A ConfigMap takes up to two minutes to reach a pod, and a ztunnel then asks within half of one. */
const usualIntroductionMs = 5 * 60_000;
/** What was signed before a restart, by whichever key, lives this long by default. */
const usualLifeMs = 24 * 3600_000;
/** Material that is not valid yet becomes so without anybody writing it. */
const retryMs = 60_000;

/** Resolves once there is material that can sign; what is wrong with what is there is told by log and Event meanwhile. */
export function openAuthority(options: AuthorityOptions): Promise<RotatingAuthority> {
  return new AuthorityStore(options).open();
}

class AuthorityStore {
  readonly #options: AuthorityOptions;
  readonly #clock: Clock;
  readonly #first = Promise.withResolvers<RotatingAuthority>();
  readonly #given: Informer<Secret>;
  readonly #own: Informer<Secret>;
  #authority: RotatingAuthority | undefined;
  /** Which Secret, in which content, was taken up or refused last. */
  #seen = '';
  #inUse: string | undefined;
  /** There was no material at all, of anybody: what is published is of a mesh that is no more. */
  #isNew = false;
  #work: Promise<void> = Promise.resolve();
  #cancelRetry: () => void = () => {};

  constructor(options: AuthorityOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#given = this.#watch(givenSecret);
    this.#own = this.#watch(ownSecret);
  }

  async open(): Promise<RotatingAuthority> {
    const { signal, log } = this.#options;
    const onAbort = (): void => {
      this.#cancelRetry();
      this.#first.reject(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    await Promise.all([this.#given.synced, this.#own.synced]);
    if (this.#given.store.size === 0 && this.#own.store.size === 0) {
      log.info('no certificate authority yet: making one', { secret: `${this.#options.namespace}/${ownSecret}` });
      this.#isNew = true;
      await this.#create();
    }
    this.#look();
    return this.#first.promise;
  }

  #watch(name: string): Informer<Secret> {
    const { client, namespace, signal, log } = this.#options;
    return startInformer(client, kinds.Secret, {
      namespace,
      fieldSelector: `metadata.name=${name}`,
      signal,
      log,
      onAdd: () => this.#look(),
      onUpdate: () => this.#look(),
      onDelete: () => this.#look(),
    });
  }

  /** One after the other; each looks at what is there when its turn comes. */
  #look(): void {
    this.#work = this.#work
      .then(() => this.#consider())
      .catch((error: unknown) => {
        this.#options.log.error('cannot look at the material of the authority', { error: messageOf(error) });
      });
  }

  async #consider(): Promise<void> {
    const { namespace, log, signal } = this.#options;
    // Both must be known before one of them is believed to be absent.
    if (!this.#given.isSynced || !this.#own.isSynced || signal.aborted) return;
    const secret =
      this.#given.store.get(`${namespace}/${givenSecret}`) ?? this.#own.store.get(`${namespace}/${ownSecret}`);
    const name = secret?.metadata.name;
    if (this.#inUse !== undefined && (!secret || (this.#inUse === givenSecret && name !== givenSecret))) {
      // To fall back would be another root, and surely not what a slip of the hand meant.
      if (this.#seen !== '')
        log.error('the Secret of the authority is gone: its last material stays in force', {
          secret: `${namespace}/${this.#inUse}`,
        });
      this.#seen = '';
      return;
    }
    if (!secret || name === undefined) return;
    const content = JSON.stringify([name, secret.data, secret.metadata.annotations?.[introductionAnnotation]]);
    if (content === this.#seen) return;
    this.#seen = content;
    this.#cancelRetry();
    try {
      await this.#takeUp(secret, name);
    } catch (error) {
      this.#refuse(secret, messageOf(error));
    }
  }

  async #takeUp(secret: Secret, name: string): Promise<void> {
    const { namespace, log, events, onMaterial } = this.#options;
    const introduceMs = introductionOf(secret);
    const next = await this.#open(secret);
    this.#inUse = name;
    const place = { secret: `${namespace}/${name}`, signer: fingerprint(next.signerPem) };
    if (this.#authority) {
      this.#authority.adopt(next, introduceMs);
      const { state } = this.#authority;
      const until = state.kind === 'steady' ? {} : { until: new Date(state.untilMs).toISOString() };
      log.info('material of the authority taken up', { ...place, state: state.kind, ...until });
      events.emit(
        referenceTo(secret),
        'Normal',
        'MaterialTakenUp',
        `Signer ${place.signer}: ${state.kind} ${until.until ?? ''}`.trim(),
      );
    } else {
      const published = await this.#published();
      const held = this.#heldSigner(next, published, introduceMs);
      const retiring = this.#retiringRoots(next, published);
      this.#authority = createRotatingAuthority(next, {
        clock: this.#clock,
        ...(retiring ? { retiring } : {}),
        ...(held ? { held } : {}),
      });
      log.info('certificate authority opened', place);
      if (held) {
        const until = new Date(held.untilMs).toISOString();
        log.warn('the signer is not introduced yet: nothing is signed for workloads before', { ...place, until });
      }
      this.#first.resolve(this.#authority);
    }
    onMaterial?.(undefined);
  }

  #refuse(secret: Secret, problem: string): void {
    const { namespace, log, events, onMaterial } = this.#options;
    const name = `${namespace}/${secret.metadata.name}`;
    const meanwhile = this.#authority ? 'the last good material stays in force' : 'there is no authority';
    log.error('material of the authority refused', { secret: name, error: problem, meanwhile });
    events.emit(referenceTo(secret), 'Warning', 'MaterialRefused', `${problem}; ${meanwhile}`);
    onMaterial?.(`Secret ${name}: ${problem}`);
    this.#cancelRetry = this.#clock.after(retryMs, () => {
      this.#seen = '';
      this.#look();
    });
  }

  #open({ data = {} }: Secret): Promise<CertificateAuthority> {
    const files = Object.fromEntries(
      Object.entries(data).map(([name, base64]) => [name, Buffer.from(base64, 'base64').toString('utf8')]),
    );
    return openMaterial(files, { clock: this.#clock, trustDomain: this.#options.trustDomain });
  }

  async #published(): Promise<PublishedTrust> {
    const { client, namespace, signal } = this.#options;
    const map = await tryGet(() => client.get(kinds.ConfigMap, rootCertConfigMap, namespace, signal));
    return publishedTrust(map as ConfigMap | undefined);
  }

  /**
   * Another signer than the one that was published, given while nobody was here to introduce it, or introduced by a process that
   * ended meanwhile: peers may not trust it yet.
   */
  #heldSigner(first: CertificateAuthority, published: PublishedTrust, introduceMs: number): HeldSigner | undefined {
    const nowMs = this.#clock.nowMs();
    const own = fingerprint(first.signerPem);
    const { rootsPem, signer = own, introducingUntilMs = nowMs } = published;
    if (this.#isNew || rootsPem === undefined) return undefined;
    const isPublished = chainsTo(first, rootsPem, nowMs);
    if (isPublished && signer === own) return undefined;
    const untilMs = isPublished ? Math.min(introducingUntilMs, nowMs + introduceMs) : nowMs + introduceMs;
    return untilMs > nowMs ? { rootsPem, signer, sinceMs: untilMs - introduceMs, untilMs } : undefined;
  }

  /** What the mesh trusted before this process started and its material no longer names, as far as leaves may live. */
  #retiringRoots(
    first: CertificateAuthority,
    { rootsPem, retiringUntilMs }: PublishedTrust,
  ): RetiringRoots | undefined {
    const nowMs = this.#clock.nowMs();
    if (rootsPem === undefined || mergeRoots(first.rootPem, rootsPem) === mergeRoots(first.rootPem)) return undefined;
    if (retiringUntilMs !== undefined && retiringUntilMs > nowMs) return { rootsPem, untilMs: retiringUntilMs };
    // Another root while nobody was here: the old one's leaves are everywhere. Else somebody took a root away.
    return chainsTo(first, rootsPem, nowMs) ? undefined : { rootsPem, untilMs: nowMs + usualLifeMs };
  }

  async #create(): Promise<void> {
    const { client, namespace, trustDomain, log, signal } = this.#options;
    const { certPem, keyPem } = await createRoot({ clock: this.#clock, organization: trustDomain });
    const encode = (text: string): string => Buffer.from(text).toString('base64');
    const secret: Secret = {
      metadata: { name: ownSecret, namespace },
      type: 'istio.io/ca-root',
      data: {
        'ca-cert.pem': encode(certPem),
        'ca-key.pem': encode(keyPem),
        'root-cert.pem': encode(certPem),
        'cert-chain.pem': '',
      },
    };
    try {
      await client.create(kinds.Secret, secret, signal);
      log.info('new mesh root created', { secret: `${namespace}/${ownSecret}` });
    } catch (error) {
      // Another replica was faster: its root is the mesh's.
      if (!isKubeError(error, 'kube.already-exists')) throw error;
    }
  }
}

/** Throws `control.bad-ca-secret`. */
function introductionOf({ metadata }: Secret): number {
  const text = metadata.annotations?.[introductionAnnotation];
  if (text === undefined) return usualIntroductionMs;
  const [, amount, unit = ''] = /^(\d{1,6})(s|m|h)$/.exec(text) ?? [];
  const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3600_000 };
  if (amount === undefined) {
    const message = `Cannot use annotation ${introductionAnnotation}: "${text}" is not a duration such as 5m`;
    throw new AmbitError(message, { code: 'control.bad-ca-secret', blame: 'downstream' });
  }
  return Number(amount) * (unitMs[unit] ?? 0);
}

function referenceTo({ metadata }: Secret): {
  apiVersion: string;
  kind: string;
  name: string;
  namespace: string;
  uid: string;
} {
  const { name = '', namespace = '', uid = '' } = metadata;
  return { apiVersion: 'v1', kind: 'Secret', name, namespace, uid };
}

async function tryGet<T>(get: () => Promise<T>): Promise<T | undefined> {
  try {
    return await get();
  } catch (error) {
    if (isKubeError(error, 'kube.not-found')) return undefined;
    throw error;
  }
}
