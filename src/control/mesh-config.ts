/** Reads the mesh configuration. */
import { load } from 'js-yaml';
import { isRecord, viewOf, type FieldView } from '../api/field-view.ts';
import type { MeshConfig, ServiceScope } from '../api/mesh-config.ts';
import type { LabelSelector } from '../api/meta.ts';
import { checkRetries } from '../api/validation/istio/http-policy.ts';
import { checkLocality } from '../api/validation/istio/locality.ts';
import { validateLabelSelector } from '../api/validation/meta.ts';
import { Findings } from '../api/validation/validation.ts';
import { defaultRevision } from '../discovery/index.ts';
import { AmbitError, messageOf } from '../lib/errors.ts';
import { parseExtensionProviders } from './extension-providers.ts';
import { optionalChoice, optionalDurationMs, optionalNumber } from './mesh-config-values.ts';

export const meshConfigKey = 'mesh';

/** Of the ConfigMap. */
export function meshConfigName(revision: string): string {
  return revision === defaultRevision ? 'istio' : `istio-${revision}`;
}

/** What is read, with the fields that are read of it where they are not all of them. */
const fields: Readonly<Record<string, readonly string[] | 'all'>> = {
  discoverySelectors: 'all',
  outboundTrafficPolicy: ['mode'],
  trustDomainAliases: 'all',
  serviceScopeConfigs: 'all',
  defaultHttpRetryPolicy: 'all',
  defaultInboundHttpRetryPolicy: 'all',
  localityLbSetting: 'all',
  connectTimeout: 'all',
  tcpKeepalive: ['probes', 'time', 'interval'],
  pathNormalization: ['normalization'],
  protocolDetectionTimeout: 'all',
  accessLogFile: 'all',
  accessLogFormat: 'all',
  accessLogEncoding: 'all',
  enableTracing: 'all',
  extensionProviders: 'all',
  defaultProviders: ['tracing', 'metrics', 'accessLogging'],
  defaultConfig: ['tracing', 'gatewayTopology', 'terminationDrainDuration', 'concurrency'],
};
const normalizations = {
  DEFAULT: 'base',
  NONE: 'none',
  BASE: 'base',
  MERGE_SLASHES: 'merge-slashes',
  DECODE_AND_MERGE_SLASHES: 'decode-and-merge-slashes',
} as const;
const maxTrustedProxies = 1000;

export interface ParsedMeshConfig {
  readonly config: MeshConfig;
  /** Fields that are there but not read. */
  readonly ignored: readonly string[];
}

/** Throws `control.mesh-config` naming every field that is wrong. */
export function parseMeshConfig(text: string): ParsedMeshConfig {
  let value: unknown;
  try {
    // The parser refuses a document that is not there.
    value = /^\s*[^\s#]/m.test(text) ? (load(text) ?? {}) : {};
  } catch (error) {
    throw invalidConfig([messageOf(error)]);
  }
  const view = viewOf(value);
  const problems: string[] = [];
  if (typeof value !== 'object' || Array.isArray(value)) throw invalidConfig(['it is not a mapping']);
  const selectors = view.at('discoverySelectors');
  if (selectors.exists && !Array.isArray(selectors.value)) problems.push('discoverySelectors: must be a list');
  for (const selector of selectors.items()) problems.push(...problemsOf(selector));
  const policy = view.at('outboundTrafficPolicy');
  const mode = policy.at('mode');
  if (policy.exists && !isRecord(policy.value)) problems.push('outboundTrafficPolicy: must be a mapping');
  if (mode.exists && mode.text !== 'ALLOW_ANY' && mode.text !== 'REGISTRY_ONLY')
    problems.push('outboundTrafficPolicy.mode: must be ALLOW_ANY or REGISTRY_ONLY');
  const aliases = view.at('trustDomainAliases');
  if (aliases.exists && !Array.isArray(aliases.value)) problems.push('trustDomainAliases: must be a list');
  for (const alias of aliases.items()) {
    if (!/^[a-z0-9._-]+$/.test(alias.text ?? '')) problems.push(`${alias.path}: must be a trust domain`);
  }
  const trustDomainAliases = aliases.items().flatMap(({ text }) => text ?? []);
  const serviceScopes = parseServiceScopes(view.at('serviceScopeConfigs'), problems);
  const ofProxies = parseProxies(view, problems);
  if (problems.length > 0) throw invalidConfig(problems);
  return {
    config: {
      discoverySelectors: selectors.items().map((selector) => selector.value as LabelSelector),
      ...(mode.exists ? { outboundTrafficPolicy: mode.text === 'REGISTRY_ONLY' ? 'registry-only' : 'allow-any' } : {}),
      ...(trustDomainAliases.length > 0 ? { trustDomainAliases } : {}),
      ...(serviceScopes ? { serviceScopes } : {}),
      ...ofProxies,
    },
    ignored: view.entries().flatMap(([name, field]) => {
      const read = Object.hasOwn(fields, name) ? fields[name] : [];
      if (read === 'all') return [];
      if (!Object.hasOwn(fields, name)) return [name];
      return field.entries().flatMap(([part]) => (read?.includes(part) ? [] : [`${name}.${part}`]));
    }),
  };
}

/** Undefined where there is no list; an empty one shares nothing. */
function parseServiceScopes(list: FieldView, problems: string[]): readonly ServiceScope[] | undefined {
  if (!list.exists) return undefined;
  if (!Array.isArray(list.value)) problems.push('serviceScopeConfigs: must be a list');
  return list.items().map((config): ServiceScope => {
    const services = config.at('servicesSelector');
    const namespaces = config.at('namespaceSelector');
    for (const selector of [services, namespaces]) if (selector.exists) problems.push(...problemsOf(selector));
    const { scope = 'local' } = optionalChoice(
      'scope',
      config.at('scope'),
      { LOCAL: 'local', GLOBAL: 'global' } as const,
      problems,
    );
    return {
      services: (services.value ?? {}) as LabelSelector,
      namespaces: (namespaces.value ?? {}) as LabelSelector,
      scope,
    };
  });
}

/** What L7 proxies go by. */
function parseProxies(view: FieldView, problems: string[]): Omit<MeshConfig, 'discoverySelectors'> {
  const file = view.at('accessLogFile').text ?? '';
  const { encoding = 'text' } = optionalChoice(
    'encoding',
    view.at('accessLogEncoding'),
    { TEXT: 'text', JSON: 'json' } as const,
    problems,
  );
  const keepalive = view.at('tcpKeepalive');
  const providers = parseExtensionProviders(view.at('extensionProviders'), problems);
  const defaults = view.at('defaultProviders');
  const namesOf = (field: string): string[] =>
    defaults
      .at(field)
      .items()
      .flatMap(({ text }) => text ?? []);
  const { boolean: enableTracing } = view.at('enableTracing');
  const proxies = view.at('defaultConfig');
  const ofAll = {
    ...optionalNumber('tracingSamplingPercent', proxies.at('tracing').at('sampling'), { min: 0, max: 100 }, problems),
    ...optionalNumber(
      'numTrustedProxies',
      proxies.at('gatewayTopology').at('numTrustedProxies'),
      { min: 0, max: maxTrustedProxies },
      problems,
    ),
    ...optionalDurationMs('terminationDrainMs', proxies.at('terminationDrainDuration'), problems),
    ...concurrencyOf(proxies.at('concurrency'), problems),
  };
  return {
    ...retriesOf('defaultHttpRetryPolicy', view, problems),
    ...retriesOf('defaultInboundHttpRetryPolicy', view, problems),
    ...localityOf(view.at('localityLbSetting'), problems),
    ...optionalDurationMs('connectTimeoutMs', view.at('connectTimeout'), problems),
    ...(keepalive.exists
      ? {
          tcpKeepalive: {
            ...optionalNumber('probes', keepalive.at('probes'), { min: 0, max: 1000 }, problems),
            ...optionalDurationMs('timeMs', keepalive.at('time'), problems),
            ...optionalDurationMs('intervalMs', keepalive.at('interval'), problems),
          },
        }
      : {}),
    ...optionalChoice('pathNormalization', view.at('pathNormalization').at('normalization'), normalizations, problems),
    ...optionalDurationMs('protocolDetectionTimeoutMs', view.at('protocolDetectionTimeout'), problems),
    ...(file === '' ? {} : { accessLog: { file, format: view.at('accessLogFormat').text ?? '', encoding } }),
    ...(enableTracing === undefined ? {} : { enableTracing }),
    ...(providers.length > 0 ? { extensionProviders: providers } : {}),
    ...(defaults.exists
      ? {
          defaultProviders: {
            tracing: namesOf('tracing'),
            metrics: namesOf('metrics'),
            accessLogging: namesOf('accessLogging'),
          },
        }
      : {}),
    ...(Object.keys(ofAll).length > 0 ? { proxies: ofAll } : {}),
  };
}

function concurrencyOf(view: FieldView, problems: string[]): { concurrency?: number } {
  if (!view.exists) return {};
  const { number: concurrency } = view;
  if (concurrency !== undefined && Number.isInteger(concurrency) && concurrency >= 0) return { concurrency };
  problems.push(`${view.path}: must be a number of threads, or 0 for one a core`);
  return {};
}

function retriesOf<K extends 'defaultHttpRetryPolicy' | 'defaultInboundHttpRetryPolicy'>(
  name: K,
  view: FieldView,
  problems: string[],
): Pick<MeshConfig, K> | Record<never, never> {
  const policy = view.at(name);
  if (!policy.exists) return {};
  const found = new Findings();
  checkRetries(policy, found);
  problems.push(...found.errors.map(({ path, message }) => `${path}: ${message}`));
  return { [name]: policy.value };
}

function localityOf(setting: FieldView, problems: string[]): Pick<MeshConfig, 'localityLbSetting'> {
  if (!isRecord(setting.value)) return {};
  const found = new Findings();
  checkLocality(setting, true, found);
  problems.push(...found.errors.map(({ path, message }) => `${path}: ${message}`));
  return { localityLbSetting: setting.value };
}

function problemsOf(selector: FieldView): string[] {
  return validateLabelSelector(selector).map(({ path, message }) => `${path}: ${message}`);
}

function invalidConfig(problems: readonly string[]): AmbitError {
  return new AmbitError(`Cannot read the mesh configuration: ${problems.join('; ')}`, {
    code: 'control.mesh-config',
    blame: 'downstream',
  });
}
