/** Answers the queries of one pod: from the mesh what the mesh knows, all else as the name server says that was asked. */
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import { planName, type NamePlan, type SearchRules } from '../../decision/index.ts';
import type { MeshState } from '../../mesh/index.ts';
import {
  cutAnswer,
  dnsCode,
  dnsType,
  dnsTypeName,
  maxUdpAnswerBytes,
  parseDnsMessage,
  writeAddressAnswer,
  writeErrorAnswer,
  type DnsQuery,
} from '../../net/index.ts';
import { dnsLabels, type DnsMetrics, type DnsProtocol } from './dns-metrics.ts';
import { forwardDns, type DnsExchange } from './forwarder.ts';

/** What all pods of a data part share. */
export interface DnsShared {
  readonly metrics: DnsMetrics;
  readonly clusterDomain: string;
  readonly preferredNamespace?: string | undefined;
  /** For pods whose resolv.conf nobody told us. */
  readonly systemNameservers: () => readonly string[];
  /** Queries that wait, of all pods. */
  readonly waiting: { count: number };
}

export interface ResponderOptions {
  readonly shared: DnsShared;
  readonly mesh: MeshState;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  /** The pod's own workload, or undefined when it does not become known within a moment. */
  readonly own: () => MeshWorkload | undefined | Promise<MeshWorkload | undefined>;
  /** What the pod's resolv.conf says; undefined: nobody told us. */
  readonly resolver: () => (SearchRules & { readonly nameservers: readonly string[] }) | undefined;
  readonly exchange: DnsExchange;
  /** Aborts when the pod leaves. */
  readonly ended: AbortSignal;
}

export interface Asked {
  readonly protocol: DnsProtocol;
  /** Which of the pod's name servers was asked. */
  readonly serverIndex: number;
}

/** Clients keep what they are told this long. */
const ttlSeconds = 30;
const maxWaitingPerPod = 256;
/** Each has up to three sockets. */
const maxWaiting = 1024;
const shareOfPod = 16;
/** The pod's log says at most this often that its queries fail. */
const failureLogMs = 10_000;
const classInternet = 1;

/** Why a query is answered with SERVFAIL. */
interface Failure {
  readonly reason: string;
}

export class DnsResponder {
  readonly #options: ResponderOptions;
  #waiting = 0;
  #failureLoggedMs = -Infinity;
  #failuresUnlogged = 0;

  constructor(options: ResponderOptions) {
    this.#options = options;
  }

  /** The answer to one message; undefined for what gets none. At once where the mesh knows it. Never throws, never rejects. */
  respond(message: Uint8Array, asked: Asked): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    const parsed = parseDnsMessage(message);
    switch (parsed.kind) {
      case 'noise':
        return undefined;
      case 'malformed':
        this.#options.shared.metrics.request(dnsLabels(0, asked.protocol, undefined));
        this.#options.log.debug('query refused', { problem: parsed.problem, protocol: asked.protocol });
        return writeErrorAnswer(message, dnsCode.formatError);
      case 'other-opcode':
        return this.#withOwn({ message, asked, query: undefined });
      case 'query':
        return this.#withOwn({ message, asked, query: parsed.query });
    }
  }

  #withOwn(work: Work): Uint8Array | Promise<Uint8Array> {
    const own = this.#options.own();
    if (!(own instanceof Promise)) return this.#resolve(work, own);
    return this.#wait(work, async () => {
      const known = await own;
      return this.#resolve(work, known);
    });
  }

  #resolve(work: Work, own: MeshWorkload | undefined): Uint8Array | Promise<Uint8Array> {
    const { message, asked, query } = work;
    const { log, shared } = this.#options;
    const labels = dnsLabels(query?.type ?? 0, asked.protocol, own);
    shared.metrics.request(labels);
    if (!own) return this.#serverFailure(work, { reason: 'own workload is not known to the mesh' });
    const plan = query ? this.#plan(query, own) : forward;
    if (query && plan.kind === 'addresses') {
      log.debug('query answered', {
        ...describe(work),
        service: plan.service.hostname,
        namespace: plan.service.namespace,
        alias: plan.alias,
        addresses: plan.addresses.length,
      });
      return writeAddressAnswer(message, query, {
        addresses: shuffle(plan.addresses, this.#options.random),
        alias: plan.alias,
        ttlSeconds,
        maxBytes: asked.protocol === 'tcp' ? maxTcpBytes : maxUdpAnswerBytes(query),
      });
    }
    return this.#wait(work, () => this.#forward(work, labels));
  }

  /** Other classes, types, and what only the key's owner may answer, are not ours. */
  #plan(query: DnsQuery, client: MeshWorkload): NamePlan {
    const { type } = query;
    if (query.class !== classInternet || query.isSigned || (query.edns?.version ?? 0) !== 0) return forward;
    if (type !== dnsType.A && type !== dnsType.AAAA) return forward;
    const { mesh, shared } = this.#options;
    return planName({
      mesh,
      client,
      name: query.name,
      family: type === dnsType.A ? 'ipv4' : 'ipv6',
      clusterDomain: shared.clusterDomain,
      preferredNamespace: shared.preferredNamespace,
      rules: this.#options.resolver(),
    });
  }

  async #forward(work: Work, labels: readonly string[]): Promise<Uint8Array> {
    const { message, asked, query } = work;
    const { shared, exchange, clock, log, ended } = this.#options;
    shared.metrics.forwarded(labels);
    const startedMs = clock.nowMs();
    const maxUdpBytes = maxUdpAnswerBytes(query);
    const servers = this.#serversFrom(asked.serverIndex);
    const { protocol } = asked;
    const result = await forwardDns({ message, protocol, servers, maxUdpBytes, signal: ended }, { exchange, clock });
    const durationMs = clock.nowMs() - startedMs;
    if (result.kind === 'failed') {
      shared.metrics.forwardFailed(labels);
      return this.#serverFailure(work, result);
    }
    shared.metrics.forwardDuration(labels, durationMs / 1000);
    log.debug('query forwarded', { ...describe(work), server: result.server, durationMs });
    // A server that gives more than the client takes: it has to ask over TCP.
    return protocol === 'udp' && result.answer.length > maxUdpBytes ? cutAnswer(result.answer) : result.answer;
  }

  /** The one that was asked, then the others. */
  #serversFrom(index: number): readonly string[] {
    const { resolver, shared } = this.#options;
    const servers = resolver()?.nameservers ?? shared.systemNameservers();
    return [...servers.slice(index), ...servers.slice(0, index)];
  }

  /** Counts the query among those that wait; with too many of them it fails at once. */
  async #wait(work: Work, run: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const { shared } = this.#options;
    if (this.#waiting >= maxWaitingPerPod)
      return this.#serverFailure(work, { reason: 'too many queries of the pod wait' });
    // A few queries of each pod always may: pods whose servers are silent must not take the others' answers from them.
    if (shared.waiting.count >= maxWaiting && this.#waiting >= shareOfPod)
      return this.#serverFailure(work, { reason: 'too many queries wait' });
    this.#waiting++;
    shared.waiting.count++;
    try {
      return await run();
    } catch (error) {
      return this.#serverFailure(work, { reason: messageOf(error) });
    } finally {
      this.#waiting--;
      shared.waiting.count--;
    }
  }

  #serverFailure(work: Work, { reason }: Failure): Uint8Array {
    const { log, clock } = this.#options;
    log.debug('query failed', { ...describe(work), reason });
    if (clock.nowMs() - this.#failureLoggedMs < failureLogMs) this.#failuresUnlogged++;
    else {
      log.warn('DNS query failed', { ...describe(work), reason, unlogged: this.#failuresUnlogged });
      this.#failureLoggedMs = clock.nowMs();
      this.#failuresUnlogged = 0;
    }
    return writeErrorAnswer(work.message, dnsCode.serverFailure);
  }
}

const forward: NamePlan = { kind: 'forward' };
const maxTcpBytes = 65_535;

interface Work {
  readonly message: Uint8Array;
  readonly asked: Asked;
  /** Absent for messages that are no queries. */
  readonly query: DnsQuery | undefined;
}

function describe({ query, asked }: Work): Record<string, unknown> {
  return { query: query?.name, type: query && dnsTypeName(query.type), protocol: asked.protocol };
}

function shuffle(addresses: readonly string[], random: () => number): string[] {
  const mixed = [...addresses];
  for (let i = mixed.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [mixed[i], mixed[j]] = [mixed[j] ?? '', mixed[i] ?? ''];
  }
  return mixed;
}
