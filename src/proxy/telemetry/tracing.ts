/** Which requests of a place are traced, and their spans (ambient-l7, 4.3). */
import type { TelemetryPolicy, TracingPolicy } from '../../api/l7/index.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import {
  compileTextFormat,
  createTraceContext,
  readTrace,
  writeTrace,
  type IncomingTrace,
  type OperatorResolver,
  type Span,
  type TraceFormat,
} from '../../telemetry/index.ts';
import type { FilterPlace } from '../engine/filter.ts';
import type { HttpRun } from '../engine/http-run.ts';
import type { Logged } from './log-operators.ts';
import { spanTags, type OwnTags } from './span-tags.ts';
import type { Tracer, Tracers } from './tracers.ts';

export interface TracingOptions {
  readonly tracers: Tracers;
  readonly resolve: OperatorResolver<Logged>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly random: () => number;
  readonly log: Log;
  /** Of the proxy, for tags. */
  readonly own: () => OwnTags;
}

/** Of one place. */
export interface PlaceTracing {
  /** Before the request goes on: its headers say who called. */
  begin(run: HttpRun): void;
  /** The request is over. */
  end(run: HttpRun): void;
}

/** The trace of a request on its way. */
export interface ActiveSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly traceState: string | undefined;
  readonly sampled: boolean;
}

type TagReader = (run: HttpRun) => string | undefined;

interface Plan {
  readonly tracers: readonly Tracer[];
  readonly samplingPercent: number;
  readonly reports: boolean;
  readonly usesRequestId: boolean;
  readonly istioTags: boolean;
  readonly propagates: boolean;
  readonly customTags: readonly { readonly name: string; readonly read: TagReader }[];
  readonly kind: Span['kind'];
}

export class Tracing {
  readonly #options: TracingOptions;
  readonly #active: WeakMap<HttpRun, ActiveSpan>;

  /** `active`: of each request that has a trace. */
  constructor(options: TracingOptions, active: WeakMap<HttpRun, ActiveSpan>) {
    this.#options = options;
    this.#active = active;
  }

  /** Undefined: requests of this place are not traced, and what they say of traces goes on as it is. */
  of(place: FilterPlace, policies: readonly TelemetryPolicy[]): PlaceTracing | undefined {
    const plan = this.#plan(place, policies);
    if (!plan) return undefined;
    return { begin: (run) => this.#begin(plan, run), end: (run) => this.#end(plan, run) };
  }

  #plan({ snapshot }: FilterPlace, policies: readonly TelemetryPolicy[]): Plan | undefined {
    const { settings, providers, backends } = snapshot;
    const side = settings.role === 'waypoint' ? 'server' : 'client';
    const merged: TracingPolicy = {};
    for (const { tracing } of policies) {
      if (!tracing || (tracing.side !== undefined && tracing.side !== side)) continue;
      Object.assign(merged, definedOf(tracing));
    }
    const tracers = (merged.providers ?? []).flatMap((name) => {
      const provider = providers.get(name);
      const backend = provider?.backend === undefined ? undefined : backends.get(provider.backend);
      const authority = backend && `${backend.hostname}:${backend.port}`;
      return (provider && this.#options.tracers.of(provider, authority)) ?? [];
    });
    if (tracers.length === 0) return undefined;
    return {
      tracers,
      samplingPercent: merged.samplingPercent ?? settings.tracingSamplingPercent,
      reports: merged.disabled !== true,
      usesRequestId: merged.usesRequestId ?? true,
      istioTags: merged.istioTags ?? true,
      propagates: merged.propagates ?? true,
      customTags: (merged.customTags ?? []).map((tag) => ({
        name: tag.name,
        read: this.#tagReader(tag.value),
      })),
      kind: side,
    };
  }

  #tagReader(value: CustomTag['value']): TagReader {
    switch (value.kind) {
      case 'literal':
        return () => value.value;
      case 'header': {
        const name = value.name.toLowerCase();
        return ({ request }) => request.headers.get(name) ?? (value.default || undefined);
      }
      case 'environment': {
        const text = this.#options.environment[value.name] ?? (value.default || undefined);
        return () => text;
      }
      case 'format':
        try {
          const read = compileTextFormat(value.template, this.#options.resolve);
          return (run) => {
            const text = read(run);
            return text === '-' ? undefined : text;
          };
        } catch (error) {
          // What is told of traffic never keeps it from passing.
          this.#options.log.warn('tag of spans not understood', { error: messageOf(error) });
          return () => undefined;
        }
    }
  }

  #begin(plan: Plan, run: HttpRun): void {
    const { headers } = run.request;
    const incoming = readTrace(headers);
    const { traceId: freshId, spanId } = createTraceContext();
    const sampled = this.#decide(plan, run, incoming);
    const span: ActiveSpan = {
      traceId: incoming?.traceId ?? freshId,
      spanId,
      parentSpanId: incoming?.spanId,
      traceState: incoming?.traceState,
      sampled,
    };
    this.#active.set(run, span);
    if (!plan.propagates) return;
    const formats = new Set<TraceFormat>([...(incoming?.formats ?? []), ...plan.tracers.map(({ format }) => format)]);
    writeTrace(headers, span, [...formats]);
  }

  /** Whoever decided before us counts; else the request id may say it, and chance does otherwise. */
  #decide({ samplingPercent, usesRequestId }: Plan, run: HttpRun, incoming: IncomingTrace | undefined): boolean {
    if (incoming?.sampled !== undefined) return incoming.sampled;
    if (usesRequestId && isSampledId(run.requestId)) return true;
    const sampled = this.#options.random() * 100 < samplingPercent;
    if (sampled && usesRequestId) {
      const marked = markSampled(run.requestId);
      if (marked !== run.requestId) {
        run.requestId = marked;
        run.request.headers.set('x-request-id', marked);
      }
    }
    return sampled;
  }

  #end(plan: Plan, run: HttpRun): void {
    const active = this.#active.get(run);
    if (!active?.sampled || !plan.reports) return;
    const { times } = run;
    const tags = spanTags(run, { own: this.#options.own(), istioTags: plan.istioTags });
    for (const { name, read } of plan.customTags) {
      const value = read(run);
      if (value !== undefined) tags.push([name, value]);
    }
    const span: Span = {
      traceId: active.traceId,
      spanId: active.spanId,
      parentSpanId: active.parentSpanId,
      traceState: active.traceState,
      name: operationOf(run),
      kind: plan.kind,
      startMs: times.startMs,
      durationMs: Math.max(0, times.end - times.start),
      tags,
      isError: run.responseStatus >= 500 || run.responseStatus === 0,
    };
    for (const { exporter } of plan.tracers) exporter.add(span);
  }
}

type CustomTag = NonNullable<TracingPolicy['customTags']>[number];

function definedOf(tracing: TracingPolicy): TracingPolicy {
  return Object.fromEntries(Object.entries(tracing).filter(([, value]) => value !== undefined));
}

/** As Istio names it: `<host>:<port>/*`. */
function operationOf({ backend, service, connection, request }: HttpRun): string {
  if (backend !== undefined) {
    const [, port = ''] = backend.split('|');
    return `${backend.slice(backend.lastIndexOf('|') + 1)}:${port}/*`;
  }
  return service ? `${service.hostname}:${connection.destinationPort}/*` : `${request.authority}/*`;
}

/** A UUID whose version digit says that the request is traced: by sampling, or because a server or a client wants it. */
function isSampledId(id: string): boolean {
  const digit = id.length === 36 ? id[14] : undefined;
  return digit === '9' || digit === 'a' || digit === 'b';
}

function markSampled(id: string): string {
  return /^[0-9a-f-]{36}$/.test(id) && id[14] === '4' ? `${id.slice(0, 14)}9${id.slice(15)}` : id;
}
