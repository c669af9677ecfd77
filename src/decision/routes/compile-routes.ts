/** A route table compiled for decisions: which host, which rule, and why not the others. Pure. */
import type { HttpMatch, HttpRule, RouteTable, VirtualHost } from '../../api/l7/index.ts';
import { compileMatch, Subject, type RequestTest, type RouteRequest } from './http-match.ts';

export interface PickedRule {
  readonly host: VirtualHost;
  readonly rule: HttpRule;
  /** The alternative that fitted; absent: the rule takes every request. */
  readonly match: HttpMatch | undefined;
}

/** What was looked at, in order: for `ambit explain`. */
export type RouteStep =
  | { readonly kind: 'host'; readonly domains: readonly string[]; readonly domain: string }
  | { readonly kind: 'no-host'; readonly authority: string }
  | { readonly kind: 'rule'; readonly rule: HttpRule; readonly matched: boolean };

export interface CompiledRoutes {
  readonly table: RouteTable;
  /** Undefined: no host or no rule fits (404). */
  pick(request: RouteRequest): PickedRule | undefined;
  /** The same decision with what led to it. */
  explain(request: RouteRequest): { readonly picked: PickedRule | undefined; readonly steps: readonly RouteStep[] };
}

/** @throws AmbitError `policy.bad-regex`. */
export function compileRoutes(table: RouteTable): CompiledRoutes {
  const hosts = new HostTable(table.hosts);
  return {
    table,
    pick(request) {
      const found = hosts.find(request.authority);
      return found && pickRule(found.host, request);
    },
    explain(request) {
      const found = hosts.find(request.authority);
      if (!found) return { picked: undefined, steps: [{ kind: 'no-host', authority: request.authority }] };
      const { host, domain } = found;
      const steps: RouteStep[] = [{ kind: 'host', domains: host.virtualHost.domains, domain }];
      const picked = pickRule(host, request, (rule, matched) => steps.push({ kind: 'rule', rule, matched }));
      return { picked, steps };
    },
  };
}

interface CompiledHost {
  readonly virtualHost: VirtualHost;
  readonly rules: readonly CompiledRule[];
}

interface CompiledRule {
  readonly rule: HttpRule;
  readonly alternatives: readonly { readonly match: HttpMatch; readonly test: RequestTest }[];
}

function pickRule(
  { virtualHost, rules }: CompiledHost,
  request: RouteRequest,
  onRule?: (rule: HttpRule, matched: boolean) => void,
): PickedRule | undefined {
  let subject: Subject | undefined;
  for (const { rule, alternatives } of rules) {
    if (alternatives.length === 0) {
      onRule?.(rule, true);
      return { host: virtualHost, rule, match: undefined };
    }
    subject ??= new Subject(request);
    for (const { match, test } of alternatives) {
      if (!test(subject)) continue;
      onRule?.(rule, true);
      return { host: virtualHost, rule, match };
    }
    onRule?.(rule, false);
  }
  return undefined;
}

function compileHost(virtualHost: VirtualHost): CompiledHost {
  return {
    virtualHost,
    rules: virtualHost.rules.map(compileRule),
  };
}

/** Rules of a table are mostly those of the one before. */
const compiledRules = new WeakMap<HttpRule, CompiledRule>();

function compileRule(rule: HttpRule): CompiledRule {
  let compiled = compiledRules.get(rule);
  if (!compiled) {
    const alternatives = rule.matches.map((match) => ({ match, test: compileMatch(match) }));
    compiledRules.set(rule, (compiled = { rule, alternatives }));
  }
  return compiled;
}

/** Hosts by domain: the exact one, then the longest `*.suffix`, then `*`; with the request's port before without. */
class HostTable {
  readonly #exact = new Map<string, CompiledHost>();
  /** `.example.com` to host, longest first. */
  readonly #suffixes: (readonly [suffix: string, host: CompiledHost])[] = [];
  readonly #any: CompiledHost | undefined;

  constructor(hosts: readonly VirtualHost[]) {
    for (const virtualHost of hosts) {
      const host = compileHost(virtualHost);
      for (const domain of virtualHost.domains) {
        const name = domain.toLowerCase();
        if (name === '*') this.#any ??= host;
        else if (name.startsWith('*')) this.#suffixes.push([name.slice(1), host]);
        else if (!this.#exact.has(name)) this.#exact.set(name, host);
      }
    }
    this.#suffixes.sort(([a], [b]) => b.length - a.length);
  }

  find(authority: string): { readonly host: CompiledHost; readonly domain: string } | undefined {
    if (this.#exact.size === 0 && this.#suffixes.length === 0) return this.#any && { host: this.#any, domain: '*' };
    const name = authority.toLowerCase();
    const bare = withoutPort(name);
    const exact = this.#exact.get(name) ?? this.#exact.get(bare);
    if (exact) return { host: exact, domain: this.#exact.has(name) ? name : bare };
    for (const [suffix, host] of this.#suffixes) {
      if (fits(name, suffix) || fits(bare, suffix)) return { host, domain: `*${suffix}` };
    }
    return this.#any && { host: this.#any, domain: '*' };
  }
}

function fits(name: string, suffix: string): boolean {
  return name.length > suffix.length && name.endsWith(suffix);
}

function withoutPort(authority: string): string {
  const colon = authority.lastIndexOf(':');
  return colon > 0 && colon > authority.lastIndexOf(']') ? authority.slice(0, colon) : authority;
}
