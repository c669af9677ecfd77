/** Reads the mesh configuration. */
import { load } from 'js-yaml';
import { isRecord, viewOf, type FieldView } from '../api/field-view.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { LabelSelector } from '../api/meta.ts';
import { validateLabelSelector } from '../api/validation/meta.ts';
import { defaultRevision } from '../discovery/index.ts';
import { AmbitError, messageOf } from '../lib/errors.ts';

export const meshConfigKey = 'mesh';

/** Of the ConfigMap. */
export function meshConfigName(revision: string): string {
  return revision === defaultRevision ? 'istio' : `istio-${revision}`;
}

const fields: ReadonlySet<string> = new Set(['discoverySelectors', 'outboundTrafficPolicy', 'trustDomainAliases']);

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
  if (problems.length > 0) throw invalidConfig(problems);
  const trustDomainAliases = aliases.items().flatMap(({ text }) => text ?? []);
  return {
    config: {
      discoverySelectors: selectors.items().map((selector) => selector.value as LabelSelector),
      ...(mode.exists ? { outboundTrafficPolicy: mode.text === 'REGISTRY_ONLY' ? 'registry-only' : 'allow-any' } : {}),
      ...(trustDomainAliases.length > 0 ? { trustDomainAliases } : {}),
    },
    ignored: [
      ...Object.keys(value as object).filter((field) => !fields.has(field)),
      ...policy.entries().flatMap(([name]) => (name === 'mode' ? [] : [`outboundTrafficPolicy.${name}`])),
    ],
  };
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
