/** ProxyExtension (policy.ambit.dev) -> the module that an L7 proxy runs. Pure. */
import { createHash } from 'node:crypto';
import type { ProxyExtension } from '../../api/ambit.ts';
import type { Extension } from '../../api/l7/index.ts';
import { durationMs } from './gateway-api-duration.ts';
import { originOf } from './l7-services.ts';

/** Data of a ConfigMap by its name, in the namespace of the object. */
export type FindConfigMap = (name: string) => Readonly<Record<string, string>> | undefined;

const phases = {
  Authentication: 'authentication',
  Authorization: 'authorization',
  Statistics: 'statistics',
  Last: 'last',
} as const satisfies Record<string, Extension['phase']>;

/** What stands in for a module that is not there: it fails at every request, so that the failure mode decides. */
const absentModule = `export default () => ({ onRequest() { throw new Error('its module is not there'); } });\n`;

export function convertExtension(
  object: ProxyExtension,
  findConfigMap: FindConfigMap,
): { readonly policy: Extension; readonly notes: readonly string[] } {
  const { name = '', namespace = '' } = object.metadata;
  const { source, config, phase = 'Last', priority = 0, failureMode = 'FailClosed' } = object.spec;
  const { timeout, memoryMegabytes = 64, maxBodyBytes = 0 } = object.spec;
  const found = sourceOf(source, findConfigMap);
  const text = found.text ?? absentModule;
  const consequence = failureMode === 'FailOpen' ? 'requests pass by it' : 'requests are refused (500)';
  return {
    policy: {
      kind: 'extension',
      name: `${namespace}/${name}`,
      origin: originOf('ProxyExtension', object),
      source: text,
      sha256: createHash('sha256').update(text).digest('hex'),
      config: config === undefined ? '' : JSON.stringify(config),
      phase: phases[phase],
      priority,
      failOpen: failureMode === 'FailOpen',
      timeoutMs: durationMs(timeout) ?? 1000,
      memoryMb: memoryMegabytes,
      maxBodyBytes,
    },
    notes: found.problem === undefined ? [] : [`${found.problem}: ${consequence}`],
  };
}

function sourceOf(
  { inline, configMap }: ProxyExtension['spec']['source'],
  find: FindConfigMap,
): { readonly text?: string; readonly problem?: string } {
  if (inline !== undefined) return { text: inline };
  const { name = '', key = 'extension.ts' } = configMap ?? {};
  const data = find(name);
  if (!data) return { problem: `spec.source.configMap: there is no ConfigMap "${name}"` };
  const text = data[key];
  if (text === undefined) return { problem: `spec.source.configMap: ConfigMap "${name}" has no key "${key}"` };
  return { text };
}
