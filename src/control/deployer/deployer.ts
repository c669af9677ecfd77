/**
 * Deploys the proxies of Gateways: account, Service, Deployment and what overlays ask for (ambient-l7, 1.4). The leader alone
 * writes; what belongs to a Gateway goes with it, by the API's garbage collection.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ConfigMap } from '../../api/core.ts';
import type { Gateway } from '../../api/gateway.ts';
import { kinds } from '../../api/kinds.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { ClusterId } from '../../api/names.ts';
import { defaultRevision, objectKey, type Discovery, type GatewayObjects } from '../../discovery/index.ts';
import { startInformer, type KubeClient } from '../../kube/index.ts';
import { sleep } from '../../lib/clock.ts';
import { codeOf, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { createWorkQueue } from '../work-queue.ts';
import { createClass, ownClasses, ownControllers } from './gateway-classes.ts';
import { managerOf } from './gateway-metadata.ts';
import { parametersToKeep } from './kept-parameters.ts';
import { KeptStore } from './kept-store.ts';
import { ManagedObjects } from './managed-objects.ts';
import type { Overlay } from './parts.ts';
import type { ProxyMesh } from './proxy-deployment.ts';
import type { ProxyValues } from './proxy-values.ts';
import { renderGateway, type Rendered } from './render.ts';

export interface DeployerOptions {
  readonly client: KubeClient;
  readonly discovery: Discovery;
  readonly cluster: ClusterId;
  readonly values: ProxyValues;
  readonly mesh: Omit<ProxyMesh, 'network' | 'concurrency'>;
  /** Whether the classes of Istio's names are ours as well. */
  readonly hasIstioClasses: boolean;
  readonly isLeader: () => boolean;
  /** Resolves when all that decides on a Gateway has been listed: what is not there yet is not gone. */
  readonly known: Promise<void>;
  /** What is known of a Gateway's deployment has changed; `namespace/name`. */
  readonly onChange: (gateway: string) => void;
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** Why a Gateway is not deployed as it is written. */
export interface DeployProblem {
  /** Of the Gateway API's conditions. */
  readonly reason: 'InvalidParameters' | 'Invalid';
  readonly message: string;
}

export interface Deployer {
  /** Of a Gateway, by `namespace/name`. */
  problem(gateway: string): DeployProblem | undefined;
  /** Whether Gateways of classes of this controller are ours. */
  isOurs(controller: string): boolean;
  /** Whether a Gateway, `namespace/name`, is this control plane's to deploy and to judge. */
  isMine(gateway: string): boolean;
  /** This replica leads from now on: everything is looked at. */
  lead(): void;
}

/** Under which our fields are known; whoever is upgraded from Istio keeps the owner. */
const fieldManager = 'istio.io/gateway-controller';
/** What we deploy can be deployed by Istio's controllers of the same version, and the other way round. */
const controllerVersion = 5;
const versionAnnotation = 'gateway.istio.io/controller-version';
const revisionLabel = 'istio.io/rev';
/** Between looks for the Gateway API, in a cluster that has none. */
const apiRetryMs = 30_000;
const defaultsLabel = 'gateway.istio.io/defaults-for-class';

export function startDeployer(options: DeployerOptions): Deployer {
  const { client, discovery, cluster, isLeader, signal, log } = options;
  const controllers = ownControllers(options.hasIstioClasses);
  const problems = new Map<string, DeployProblem>();
  /** By `namespace/name`, what will be kept once the watch tells of it. */
  const lastParameters = new Map<string, LastParameters>();
  /** ConfigMaps that say something of a whole class, by their key. */
  const classDefaults = new Map<string, ConfigMap>();

  /** Gateways for which parameters are kept, as far as was heard: never before all else is known as well. */
  const keepers = new Set<string>();
  const keptStore = new KeptStore({
    client,
    configMaps: discovery.sources.configMaps,
    keyOf: (namespace, own) => objectKey(cluster, namespace, own),
    namespace: options.mesh.namespace,
    fieldManager,
    signal,
  });

  const keyOf = (name: string): string => {
    const [namespace = '', own = ''] = name.split('/');
    return objectKey(cluster, namespace, own);
  };

  /** What nobody labelled, nor its namespace, belongs to the default control plane alone: two would undo each other's work. */
  const isOfRevision = ({ metadata }: Gateway): boolean => {
    const namespace = discovery.sources.namespaces.get(objectKey(cluster, '', metadata.namespace ?? ''));
    const wanted = metadata.labels?.[revisionLabel] ?? namespace?.metadata.labels?.[revisionLabel] ?? defaultRevision;
    return wanted === options.mesh.revision;
  };
  const isMine = (name: string): boolean => {
    const gateway = discovery.gateways.get(keyOf(name));
    const objects = discovery.gatewayObjects.get(keyOf(name));
    return gateway !== undefined && isOfRevision(gateway) && (!objects || controllers.has(objects.controller));
  };

  const reconcile = async (name: string): Promise<void> => {
    await options.known;
    const gateway = discovery.gateways.get(keyOf(name));
    if (!gateway || !isOfRevision(gateway)) {
      lastParameters.delete(name);
      setProblem(name, undefined);
      // Another control plane's are not ours to forget.
      const isGone = keepers.has(name) && !discovery.sources.gateways.get(keyOf(name));
      if (isGone && isLeader()) await keptStore.remove(name);
      return;
    }
    if (!isLeader() || gateway.metadata.deletionTimestamp !== undefined) return;
    await Promise.all([managed.synced(), proxyConfigs.synced]);
    const objects = discovery.gatewayObjects.get(keyOf(name));
    // Nobody's yet, or nobody's for a moment: what was deployed serves until a class says whose the Gateway is.
    const gatewayClass = objectKey(cluster, '', gateway.spec.gatewayClassName);
    if (!objects && !discovery.sources.gatewayClasses.get(gatewayClass)) return setProblem(name, undefined);
    if (!objects?.isDeployed || !controllers.has(objects.controller)) {
      setProblem(name, undefined);
      return managed.prune(gateway, []);
    }
    if (deployedByNewer(gateway)) {
      const message = `a control plane with a newer way of deploying has it: ${versionAnnotation} says so`;
      return setProblem(name, { reason: 'Invalid', message });
    }
    const { rendered, problem, parameters } = await render(name, gateway, objects);
    if (problem) setProblem(name, problem);
    if (!rendered) return;
    await claim(gateway);
    const refusals: string[] = [];
    for (const one of rendered) {
      const refusal = await managed.apply(one, gateway);
      if (refusal !== undefined) refusals.push(refusal);
    }
    const refused = refusals.length > 0 ? ({ reason: 'Invalid', message: refusals.join('; ') } as const) : undefined;
    setProblem(name, problem ?? refused);
    if (parameters && !refused) await keep(name, gateway, parameters);
    await managed.prune(gateway, rendered);
  };

  /** By the last parameters that made sense where those of now make none; not at all where none are known. */
  const render = async (name: string, gateway: Gateway, objects: GatewayObjects): Promise<Outcome> => {
    const { values } = options;
    const system = discovery.sources.namespaces.get(objectKey(cluster, '', options.mesh.namespace));
    const mesh = {
      ...options.mesh,
      network: system?.metadata.labels?.['topology.istio.io/network'] ?? '',
      concurrency: discovery.sources.meshConfigs.get(cluster)?.proxies?.concurrency,
    };
    const by = async (parameters: readonly ConfigMap[]): Promise<Rendered[]> =>
      renderGateway(gateway, objects, {
        values,
        mesh,
        overlays: await overlaysOf(parameters),
        proxyConfigs: [...proxyConfigs.store.values()],
      });
    try {
      const parameters = await parametersOf(gateway);
      return { rendered: await by(parameters), parameters };
    } catch (error) {
      if (codeOf(error) !== 'control.overlay') throw error;
      const problem = { reason: 'InvalidParameters', message: messageOf(error) } as const;
      const last = lastParameters.get(name);
      const known = last && last.uid === gateway.metadata.uid ? last.parameters : keptStore.read(name, gateway);
      return { rendered: known && (await tryRender(() => by(known))), problem };
    }
  };

  /** Those that the API took: they are the last good ones from now on. */
  const keep = async (name: string, gateway: Gateway, parameters: readonly ConfigMap[]): Promise<void> => {
    const { uid } = gateway.metadata;
    const before = lastParameters.get(name);
    const kept = parametersToKeep(gateway, parameters);
    lastParameters.set(name, { uid, parameters, kept });
    const wasTooLong = before !== undefined && before.kept === undefined;
    if (kept === undefined && !wasTooLong) {
      log.warn('the parameters of a Gateway are too long to be kept for control planes that start later', {
        gateway: name,
      });
    }
    await keptStore.write(name, kept ?? undefined);
  };

  const parametersOf = async ({ metadata, spec }: Gateway): Promise<ConfigMap[]> => {
    const [oldest] = [...classDefaults.values()]
      .filter((map) => map.metadata.labels?.[defaultsLabel] === spec.gatewayClassName)
      .toSorted((a, b) => ageOf(a).localeCompare(ageOf(b)));
    const reference = spec.infrastructure?.parametersRef;
    const parameters = oldest ? [oldest] : [];
    if (!reference) return parameters;
    const { overlayError } = await import('./overlay.ts');
    const { group, kind, name } = reference;
    if (group !== '' || kind !== 'ConfigMap') throw overlayError(`parametersRef names a ${kind}, not a ConfigMap`);
    const map = discovery.sources.configMaps.get(objectKey(cluster, metadata.namespace ?? '', name));
    if (!map) throw overlayError(`ConfigMap ${metadata.namespace}/${name}, which parametersRef names, does not exist`);
    return [...parameters, map];
  };

  /** Before anything else, so that a controller of an older version steps back. */
  const claim = async (gateway: Gateway): Promise<void> => {
    if (gateway.metadata.annotations?.[versionAnnotation] === String(controllerVersion)) return;
    const { metadata } = gateway;
    const { name = '', namespace } = metadata;
    await client.patch(
      kinds.Gateway,
      name,
      namespace,
      { metadata: { annotations: { [versionAnnotation]: String(controllerVersion) } } },
      { type: 'merge', fieldManager, signal },
    );
  };

  const setProblem = (name: string, problem: DeployProblem | undefined): void => {
    if (isDeepStrictEqual(problems.get(name), problem)) return;
    if (problem) {
      problems.set(name, problem);
      log.warn('cannot deploy a Gateway as it is written', { gateway: name, reason: problem.message });
    } else problems.delete(name);
    options.onChange(name);
  };

  const queue = createWorkQueue({ name: 'gateways', reconcile, signal, log });
  const classes = createWorkQueue({
    name: 'gateway classes',
    reconcile: async (name) => {
      const own = ownClasses(options.hasIstioClasses).find((one) => one.name === name);
      if (!own || !isLeader() || discovery.sources.gatewayClasses.get(objectKey(cluster, '', name))) return;
      if (await createClass(client, own, signal)) return;
      await sleep(apiRetryMs, signal);
      classes.add(name);
    },
    signal,
    log,
    concurrency: 8,
  });

  const managed = new ManagedObjects({
    client,
    fieldManager,
    managers: new Set([...controllers].map(managerOf)),
    onChange: (gateway) => queue.add(gateway),
    signal,
    log,
  });
  const all = (): void => {
    for (const [key] of discovery.gateways.entries()) queue.add(nameOfKey(key));
  };
  const proxyConfigs = startInformer(client, kinds.ProxyConfig, {
    signal,
    log,
    isOptional: true,
    onAdd: all,
    onUpdate: all,
    onDelete: all,
  });
  discovery.gateways.subscribe((changes) => {
    for (const key of changes.keys()) queue.add(nameOfKey(key));
  });
  discovery.gatewayObjects.subscribe((changes) => {
    for (const key of changes.keys()) queue.add(nameOfKey(key));
  });
  discovery.gatewayReach.subscribe((changes) => {
    for (const key of changes.keys()) queue.add(nameOfKey(key));
  });
  discovery.sources.meshConfigs.subscribe(all);
  discovery.sources.gatewayClasses.subscribe((changes) => {
    for (const [key, { after }] of changes) {
      const name = nameOfKey(key).slice(1);
      if (!after) classes.add(name);
      for (const [of, { spec }] of discovery.gateways.entries()) {
        if (spec.gatewayClassName === name) queue.add(nameOfKey(of));
      }
    }
  });
  discovery.sources.configMaps.subscribe((changes) => {
    for (const [key, { before, after }] of changes) {
      const keeper = keptStore.keeperOf(after ?? before);
      if (keeper !== undefined) {
        if (after) keepers.add(keeper);
        else keepers.delete(keeper);
        queue.add(keeper);
        continue;
      }
      const isDefault = after?.metadata.labels?.[defaultsLabel] && after.metadata.namespace === options.mesh.namespace;
      if (after && isDefault) classDefaults.set(key, after);
      else if (!classDefaults.delete(key)) {
        for (const gateway of referringTo(discovery, nameOfKey(key))) queue.add(gateway);
        continue;
      }
      all();
    }
  });

  return {
    problem: (gateway) => problems.get(gateway),
    isOurs: (controller) => controllers.has(controller),
    isMine,
    lead() {
      for (const { name } of ownClasses(options.hasIstioClasses)) classes.add(name);
      all();
      // Of those that went while nobody led.
      for (const gateway of keepers) queue.add(gateway);
    },
  };
}

interface LastParameters {
  /** Of the Gateway. */
  readonly uid: string | undefined;
  readonly parameters: readonly ConfigMap[];
  readonly kept: ReturnType<typeof parametersToKeep>;
}

interface Outcome {
  /** Absent: nothing that is known makes sense, and what was deployed stays as it is. */
  readonly rendered?: Rendered[] | undefined;
  readonly problem?: DeployProblem;
  /** By which it was rendered; absent: by earlier ones. */
  readonly parameters?: readonly ConfigMap[];
}

/** Heavy, for the schemas: imported where there are parameters. Throws `control.overlay`. */
async function overlaysOf(parameters: readonly ConfigMap[]): Promise<Overlay[]> {
  if (parameters.length === 0) return [];
  const { readOverlay } = await import('./overlay.ts');
  return parameters.map(readOverlay);
}

/** Undefined: an overlay does not fit what the Gateway has become. */
async function tryRender(render: () => Promise<Rendered[]>): Promise<Rendered[] | undefined> {
  try {
    return await render();
  } catch (error) {
    if (codeOf(error) !== 'control.overlay') throw error;
    return undefined;
  }
}

/** Gateways whose parameters a ConfigMap has, `namespace/name`. */
function* referringTo(discovery: Discovery, configMap: string): Iterable<string> {
  for (const [key, { metadata, spec }] of discovery.gateways.entries()) {
    const reference = spec.infrastructure?.parametersRef;
    if (reference && `${metadata.namespace}/${reference.name}` === configMap) yield nameOfKey(key);
  }
}

function deployedByNewer({ metadata }: Gateway): boolean {
  return Number(metadata.annotations?.[versionAnnotation] ?? 0) > controllerVersion;
}

function ageOf({ metadata }: KubeObject): string {
  return `${metadata.creationTimestamp ?? ''} ${metadata.name}`;
}

/** `namespace/name` */
function nameOfKey(key: string): string {
  return key.slice(key.indexOf('/') + 1);
}
