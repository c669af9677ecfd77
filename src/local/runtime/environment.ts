/** Pure: a container's environment and command line, with references resolved and `$(NAME)` expanded. */
import type { ConfigMap, Container, Secret } from '../../api/index.ts';
import { fieldValue, resourceValue, type PodFacts } from './field-path.ts';

export interface EnvironmentInput {
  readonly container: Container;
  readonly facts: PodFacts;
  /** What was read for the container's references; undefined: not there. */
  readonly configMap: (name: string) => ConfigMap | undefined;
  readonly secret: (name: string) => Secret | undefined;
  readonly capacity: Readonly<Record<string, number>>;
  /** Of Services; the container's own variables replace them. */
  readonly services: Readonly<Record<string, string>>;
}

export type EnvironmentResult =
  | { readonly kind: 'ready'; readonly environment: Record<string, string> }
  | { readonly kind: 'missing'; readonly message: string };

/** What every container has before its own variables. */
const basics: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
};

export function resolveEnvironment(input: EnvironmentInput): EnvironmentResult {
  const { container, facts } = input;
  const environment: Record<string, string> = {
    ...basics,
    HOSTNAME: facts.pod.spec.hostname ?? facts.pod.metadata.name ?? '',
    ...input.services,
  };
  for (const source of container.envFrom ?? []) {
    const { prefix = '', configMapRef, secretRef } = source;
    const data = configMapRef
      ? input.configMap(configMapRef.name ?? '')?.data
      : decodeAll(input.secret(secretRef?.name ?? '')?.data);
    if (!data && !(configMapRef ?? secretRef)?.optional) {
      const kind = configMapRef ? 'configmap' : 'secret';
      return { kind: 'missing', message: `${kind} "${(configMapRef ?? secretRef)?.name}" not found` };
    }
    for (const [key, value] of Object.entries(data ?? {})) environment[prefix + key] = value;
  }
  for (const variable of container.env ?? []) {
    const from = variable.valueFrom;
    if (!from) {
      environment[variable.name] = expand(variable.value ?? '', environment);
      continue;
    }
    const found = resolveReference(from, input);
    if (found.kind === 'missing') return found;
    if (found.kind === 'value') environment[variable.name] = found.value;
  }
  return { kind: 'ready', environment };
}

/** Expands `$(NAME)`; `$$(NAME)` stays as `$(NAME)`, and so does a name that is not known. */
export function expand(text: string, environment: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\$|\$\(([^()$\s]+)\)/g, (found, name: string | undefined) => {
    if (name === undefined) return '$';
    return environment[name] ?? found;
  });
}

type Reference = { kind: 'value'; value: string } | { kind: 'absent' } | { kind: 'missing'; message: string };

function resolveReference(
  from: NonNullable<NonNullable<Container['env']>[number]['valueFrom']>,
  input: EnvironmentInput,
): Reference {
  if (from.fieldRef) {
    const value = fieldValue(from.fieldRef.fieldPath, input.facts);
    if (value !== undefined) return { kind: 'value', value };
    return { kind: 'missing', message: `field path "${from.fieldRef.fieldPath}" is not supported` };
  }
  if (from.resourceFieldRef) {
    const value = resourceValue(
      from.resourceFieldRef.resource,
      input.container,
      input.capacity,
      from.resourceFieldRef.divisor,
    );
    if (value !== undefined) return { kind: 'value', value };
    return { kind: 'missing', message: `resource "${from.resourceFieldRef.resource}" is not supported` };
  }
  const reference = from.configMapKeyRef ?? from.secretKeyRef;
  if (!reference) return { kind: 'absent' };
  const kind = from.configMapKeyRef ? 'configmap' : 'secret';
  const name = reference.name ?? '';
  const data = from.configMapKeyRef ? input.configMap(name)?.data : decodeAll(input.secret(name)?.data);
  const value = data?.[reference.key];
  if (value !== undefined) return { kind: 'value', value };
  if (reference.optional) return { kind: 'absent' };
  const message = data ? `couldn't find key ${reference.key} in ${kind} ${name}` : `${kind} "${name}" not found`;
  return { kind: 'missing', message };
}

function decodeAll(data: Readonly<Record<string, string>> | undefined): Record<string, string> | undefined {
  if (!data) return undefined;
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));
}
