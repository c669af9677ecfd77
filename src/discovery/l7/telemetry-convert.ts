/** Telemetry -> what an L7 proxy tells of its traffic (ambient-l7, 4). Pure. */
import type { ExtensionProvider } from '../../api/extension-provider.ts';
import type { Telemetry } from '../../api/istio.ts';
import type {
  AccessLogPolicy,
  MetricOverride,
  TelemetryPolicy,
  TelemetrySide,
  TracingPolicy,
} from '../../api/l7/index.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import { messageOf } from '../../lib/errors.ts';
import { compileRequestExpression } from '../../policy/request-expression.ts';

export interface TelemetryConversion {
  readonly policy: TelemetryPolicy;
  /** One line for each thing that is not done as written. */
  readonly notes: readonly string[];
}

type Spec = NonNullable<Telemetry['spec']>;
type Metrics = NonNullable<Spec['metrics']>[number];
type Override = NonNullable<Metrics['overrides']>[number];
type Logging = NonNullable<Spec['accessLogging']>[number];
type Tracing = NonNullable<Spec['tracing']>[number];
type Tag = NonNullable<NonNullable<TracingPolicy['customTags']>[number]>['value'];
type Mode = 'CLIENT_AND_SERVER' | 'CLIENT' | 'SERVER' | undefined;

/** What every mesh has by itself: access logs on standard output, and metrics. */
const standardOutput = 'envoy';
const builtInMetrics = 'prometheus';

export function convertTelemetry(
  telemetry: Telemetry,
  { scope, meshConfig }: { readonly scope: TelemetryPolicy['scope']; readonly meshConfig: MeshConfig | undefined },
): TelemetryConversion {
  const { name = '', namespace = '' } = telemetry.metadata;
  const notes: string[] = [];
  const providers = new Providers(meshConfig, notes);
  const { metrics = [], accessLogging, tracing } = telemetry.spec ?? {};
  const logs = accessLogging?.flatMap((logging, i) => accessLogs(logging, `accessLogging[${i}]`, providers));
  const spans = tracing?.[0] && tracingOf(tracing[0], providers);
  if (tracing && tracing.length > 1) notes.push('tracing: only the first entry is used');
  return {
    policy: {
      kind: 'telemetry',
      name: `${namespace}/${name}`,
      scope,
      metrics: metrics.flatMap((one, i) => metricOverrides(one, `metrics[${i}]`, providers)),
      ...(logs && logs.length > 0 ? { accessLogs: logs } : {}),
      ...(spans ? { tracing: spans } : {}),
    },
    notes,
  };
}

/** What `defaultProviders` of the mesh say, as a policy wider than all others. */
export function defaultTelemetry(meshConfig: MeshConfig): TelemetryPolicy | undefined {
  const { defaultProviders } = meshConfig;
  if (!defaultProviders) return undefined;
  const providers = new Providers(meshConfig, []);
  const logs = providers.logs(undefined, 'defaultProviders.accessLogging');
  const spans = providers.tracers(undefined, 'defaultProviders.tracing');
  const hasLogs = defaultProviders.accessLogging.length > 0 && logs.length > 0;
  if (!hasLogs && spans.length === 0) return undefined;
  return {
    kind: 'telemetry',
    name: '/default-providers',
    scope: 'mesh',
    metrics: [],
    ...(hasLogs ? { accessLogs: logs.map((log) => ({ ...log, disabled: false })) } : {}),
    ...(spans.length > 0 ? { tracing: { providers: spans } } : {}),
  };
}

/** Names of providers, as far as proxies can do what they stand for. */
class Providers {
  readonly #byName: ReadonlyMap<string, ExtensionProvider>;
  readonly #defaults: MeshConfig['defaultProviders'];
  readonly notes: string[];

  constructor(meshConfig: MeshConfig | undefined, notes: string[]) {
    this.#byName = new Map((meshConfig?.extensionProviders ?? []).map((provider) => [provider.name, provider]));
    this.#defaults = meshConfig?.defaultProviders;
    this.notes = notes;
  }

  /** Without any the mesh's own, and without those standard output. */
  logs(names: readonly string[] | undefined, path: string): { readonly provider?: string }[] {
    const asked = names ?? this.#defaults?.accessLogging ?? [];
    if (asked.length === 0) return [{}];
    return asked.flatMap((name) => {
      if (name === standardOutput && !this.#byName.has(name)) return [{}];
      return this.#is(name, path, ['envoyFileAccessLog'], 'a file for access logs') ? [{ provider: name }] : [];
    });
  }

  tracers(names: readonly string[] | undefined, path: string): string[] {
    const asked = names ?? this.#defaults?.tracing ?? [];
    return asked.filter((name) => this.#is(name, path, ['opentelemetry', 'zipkin'], 'a collector of spans'));
  }

  /** Whether metrics for Prometheus are meant. */
  metrics(names: readonly string[] | undefined, path: string): boolean {
    if (!names || names.length === 0) return true;
    const others = names.filter((name) => name !== builtInMetrics && this.#byName.get(name)?.kind !== 'prometheus');
    for (const name of others) this.notes.push(`${path}: provider "${name}" is none of metrics`);
    return others.length < names.length;
  }

  #is(name: string, path: string, kinds: readonly ExtensionProvider['kind'][], what: string): boolean {
    const provider = this.#byName.get(name);
    if (!provider) this.notes.push(`${path}: there is no provider "${name}" in the mesh configuration`);
    else if (provider.kind === 'unsupported') {
      this.notes.push(`${path}: provider "${name}" is of a type that is not supported (${provider.type})`);
    } else if (!kinds.includes(provider.kind)) this.notes.push(`${path}: provider "${name}" is not ${what}`);
    else return true;
    return false;
  }
}

function accessLogs(logging: Logging, path: string, providers: Providers): AccessLogPolicy[] {
  const filter = logging.filter?.expression;
  if (filter !== undefined && !isExpression(filter, `${path}.filter`, providers.notes)) return [];
  const common = {
    ...sideOf(logging.match?.mode),
    disabled: logging.disabled ?? false,
    ...(filter === undefined ? {} : { filter }),
  };
  return providers.logs(namesOf(logging.providers), `${path}.providers`).map((log) => ({ ...log, ...common }));
}

function metricOverrides(metrics: Metrics, path: string, providers: Providers): MetricOverride[] {
  const { notes } = providers;
  if (metrics.reportingInterval !== undefined && metrics.reportingInterval !== '5s') {
    notes.push(`${path}.reportingInterval: what lasts is counted every 5 s, whatever is asked for`);
  }
  if (!providers.metrics(namesOf(metrics.providers), `${path}.providers`)) return [];
  return (metrics.overrides ?? []).flatMap((override, i) => {
    const at = `${path}.overrides[${i}]`;
    if (override.match?.customMetric !== undefined) {
      notes.push(`${at}.match.customMetric: there is no metric "${override.match.customMetric}"`);
      return [];
    }
    return [
      {
        ...sideOf(override.match?.mode),
        metric: override.match?.metric ?? 'ALL_METRICS',
        ...(typeof override.disabled === 'boolean' ? { disabled: override.disabled } : {}),
        tags: tagChanges(override, at, notes),
      },
    ];
  });
}

function tagChanges({ tagOverrides = {} }: Override, path: string, notes: string[]): MetricOverride['tags'] {
  return Object.entries(tagOverrides).flatMap(([name, { operation, value = '' }]): MetricOverride['tags'][number][] => {
    const at = `${path}.tagOverrides.${name}`;
    if (!/^[a-zA-Z][a-zA-Z0-9_]*$/.test(name) || name === 'le') {
      notes.push(`${at}: it is no name of a label`);
      return [];
    }
    if (operation === 'REMOVE') return [{ name, change: { kind: 'remove' } }];
    if (!isExpression(value, at, notes)) return [];
    return [{ name, change: { kind: 'set', expression: value } }];
  });
}

function tracingOf(tracing: Tracing, providers: Providers): TracingPolicy {
  const { randomSamplingPercentage: percent, customTags } = tracing;
  const names = namesOf(tracing.providers);
  if (names && names.length > 1) providers.notes.push('tracing[0].providers: only the first one is used');
  const boolean = <Key extends string>(key: Key, value: boolean | null | undefined): { [K in Key]?: boolean } =>
    (typeof value === 'boolean' ? { [key]: value } : {}) as { [K in Key]?: boolean };
  const { disableContextPropagation: silent } = tracing;
  return {
    ...sideOf(tracing.match?.mode),
    ...(names ? { providers: providers.tracers(names.slice(0, 1), 'tracing[0].providers') } : {}),
    ...(typeof percent === 'number' ? { samplingPercent: Math.min(100, Math.max(0, percent)) } : {}),
    ...boolean('disabled', tracing.disableSpanReporting),
    ...boolean('usesRequestId', tracing.useRequestIdForTraceSampling),
    ...boolean('istioTags', tracing.enableIstioTags),
    ...boolean('propagates', typeof silent === 'boolean' ? !silent : undefined),
    ...(customTags ? { customTags: Object.entries(customTags).flatMap(([name, tag]) => customTag(name, tag)) } : {}),
  };
}

function customTag(
  name: string,
  { literal, header, environment, formatter }: NonNullable<Tracing['customTags']>[string],
): { readonly name: string; readonly value: Tag }[] {
  if (literal) return [{ name, value: { kind: 'literal', value: literal.value } }];
  if (formatter) return [{ name, value: { kind: 'format', template: formatter.value } }];
  const named = header ?? environment;
  if (!named) return [];
  const kind = header ? 'header' : 'environment';
  return [{ name, value: { kind, name: named.name, default: named.defaultValue ?? '' } }];
}

function namesOf(providers: readonly { readonly name: string }[] | undefined): string[] | undefined {
  return providers && providers.length > 0 ? providers.map(({ name }) => name) : undefined;
}

function sideOf(mode: Mode): { readonly side?: TelemetrySide } {
  if (mode === 'CLIENT') return { side: 'client' };
  return mode === 'SERVER' ? { side: 'server' } : {};
}

function isExpression(text: string, path: string, notes: string[]): boolean {
  try {
    compileRequestExpression(text);
    return true;
  } catch (error) {
    notes.push(`${path}: ${messageOf(error)}`);
    return false;
  }
}
