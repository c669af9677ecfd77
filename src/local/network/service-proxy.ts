/** Keeps the rules for Services as the API says: each burst of changes is one nft transaction about the Services that changed. */
import type { EndpointSlice, Service } from '../../api/index.ts';
import { createBackoff } from '../../lib/backoff.ts';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { ServiceScope } from './service-endpoints.ts';
import { planService, type ServicePlan } from './service-plan.ts';
import { changeScript, emptyTableScript, type PlanChange } from './service-rules.ts';
import { runTool } from './tool.ts';

export interface ServiceProxyOptions {
  readonly scope: ServiceScope;
  /** By `namespace/name`, read when rules are made. */
  readonly services: ReadonlyMap<string, Service>;
  readonly slicesOf: (serviceKey: string) => Iterable<EndpointSlice>;
  readonly clock: Clock;
  readonly log: Log;
  /** Loads an nft script into the namespace whose rules these are; default: `nft -f -` in the caller's. */
  readonly apply?: (script: string) => Promise<void>;
  /** Forgets the UDP flows that were bound to `ADDRESS PORT` of endpoints that are gone. Default: nothing is forgotten. */
  readonly forgetFlows?: (targets: ReadonlySet<string>) => void;
}

/** Changes within this time become one transaction. */
const settleMs = 20;

export class ServiceProxy {
  readonly #options: ServiceProxyOptions;
  readonly #backoff = createBackoff({ initialMs: 200, maxMs: 10_000 });
  /** What the kernel has, by Service; undefined: not known, the next transaction replaces all. */
  #plans: Map<string, ServicePlan> | undefined;
  /** Two Services may ask for one external address and port: the first has it, the others wait. */
  readonly #owners = new Map<string, string>();
  readonly #waiting = new Map<string, Set<string>>();
  readonly #changed = new Set<string>();
  #cancel: (() => void) | undefined;
  #busy = false;
  #isStarted = false;
  #closed = false;

  constructor(options: ServiceProxyOptions) {
    this.#options = options;
  }

  /** Makes the rules of all Services: call it when they are all known. */
  start(): void {
    this.#isStarted = true;
    this.#schedule(settleMs);
  }

  /** A Service or its endpoints changed. */
  changed(serviceKey: string): void {
    this.#changed.add(serviceKey);
    this.#schedule(settleMs);
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  #schedule(delayMs: number): void {
    if (this.#closed || this.#cancel || this.#busy || !this.#isStarted) return;
    this.#cancel = this.#options.clock.after(delayMs, () => {
      this.#cancel = undefined;
      void this.#apply();
    });
  }

  async #apply(): Promise<void> {
    const { scope, services, log } = this.#options;
    this.#busy = true;
    let delayMs = settleMs;
    try {
      const isWhole = this.#plans === undefined;
      const plans = this.#plans ?? new Map<string, ServicePlan>();
      if (isWhole) {
        this.#owners.clear();
        this.#waiting.clear();
        for (const key of [...services.keys()].sort()) this.#changed.add(key);
      }
      const changes = this.#takeChanges(plans);
      const script = `${isWhole ? emptyTableScript(scope) : ''}${changeScript(changes)}`;
      // Until it is loaded nobody knows what the kernel has.
      this.#plans = undefined;
      if (script !== '') await (this.#options.apply ?? loadRules)(script);
      this.#plans = plans;
      this.#forgetFlows(changes);
      this.#backoff.reset();
    } catch (error) {
      log.error('Cannot load service rules', { error: messageOf(error) });
      delayMs = this.#backoff.next();
    } finally {
      this.#busy = false;
    }
    if (this.#changed.size > 0 || this.#plans === undefined) this.#schedule(delayMs);
  }

  #takeChanges(plans: Map<string, ServicePlan>): PlanChange[] {
    const befores = new Map<string, ServicePlan | undefined>();
    for (const key of this.#changed) {
      // What this Service gives up, another may wait for: that one joins the set while we go through it.
      this.#changed.delete(key);
      const before = plans.get(key);
      if (!befores.has(key)) befores.set(key, before);
      const after = this.#plan(key);
      for (const element of before?.elements.keys() ?? []) {
        if (after?.elements.has(element)) continue;
        if (this.#owners.get(element) === key) this.#owners.delete(element);
        for (const waiting of this.#waiting.get(element) ?? []) this.#changed.add(waiting);
        this.#waiting.delete(element);
      }
      if (after) plans.set(key, after);
      else plans.delete(key);
    }
    return [...befores].map(([key, before]) => {
      const after = plans.get(key);
      return { ...(before && { before }), ...(after && { after }) };
    });
  }

  #plan(key: string): ServicePlan | undefined {
    const { scope, services, slicesOf } = this.#options;
    const service = services.get(key);
    if (!service) return undefined;
    const plan = planService({ service, slices: slicesOf(key), scope });
    const elements = new Map<string, string>();
    for (const [element, target] of plan.elements) {
      const owner = this.#owners.get(element) ?? key;
      if (owner === key) {
        this.#owners.set(element, key);
        elements.set(element, target);
      } else {
        const waiting = this.#waiting.get(element) ?? new Set();
        this.#waiting.set(element, waiting.add(key));
      }
    }
    return { ...plan, elements };
  }

  #forgetFlows(changes: readonly PlanChange[]): void {
    const gone = new Set<string>();
    for (const { before, after } of changes) {
      for (const target of before?.udpTargets ?? []) if (!after?.udpTargets.has(target)) gone.add(target);
    }
    if (gone.size === 0) return;
    try {
      this.#options.forgetFlows?.(gone);
    } catch (error) {
      this.#options.log.warn('Cannot forget UDP flows to endpoints that are gone', { error: messageOf(error) });
    }
  }
}

async function loadRules(script: string): Promise<void> {
  await runTool({ command: ['nft', '-f', '-'], input: script });
}
