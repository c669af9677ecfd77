/** How many workers the proxies of a Gateway are told to have: as Istio merges what a ProxyConfig, a pod and the mesh say. */
import { load } from 'js-yaml';
import { isRecord } from '../../api/field-view.ts';
import type { ProxyConfig } from '../../api/istio.ts';
import { matchesLabels } from '../../api/selector.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';

const annotation = 'proxy.istio.io/config';

export interface ConcurrencyInput {
  readonly namespace: string;
  /** Of the proxies' pods. */
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Of all namespaces. */
  readonly proxyConfigs: readonly ProxyConfig[];
  /** Where a ProxyConfig without a selector is for the whole mesh. */
  readonly rootNamespace: string;
  /** `defaultConfig.concurrency` of the mesh's configuration. */
  readonly meshDefault: number | undefined;
}

/**
 * From the narrowest to the widest: a ProxyConfig that selects the pods, the annotation, a ProxyConfig of the namespace, one of the mesh,
 * the mesh's configuration. Of several, the oldest. Undefined: nobody says. Throws `control.overlay` for an annotation that cannot be read.
 */
export function proxyConcurrency(input: ConcurrencyInput): number | undefined {
  const { namespace, labels, annotations, proxyConfigs, rootNamespace, meshDefault } = input;
  const oldestFirst = proxyConfigs.toSorted((a, b) => ageOf(a).localeCompare(ageOf(b)));
  const selectorOf = ({ spec }: ProxyConfig): Readonly<Record<string, string>> => spec?.selector?.matchLabels ?? {};
  const isSelecting = (config: ProxyConfig): boolean => Object.keys(selectorOf(config)).length > 0;
  const first = (applies: (config: ProxyConfig) => boolean): number | undefined =>
    oldestFirst.find((config) => applies(config) && typeof config.spec?.concurrency === 'number')?.spec?.concurrency ??
    undefined;
  const isIn = (config: ProxyConfig, wanted: string): boolean => config.metadata.namespace === wanted;
  return (
    first((config) => isIn(config, namespace) && isSelecting(config) && matchesLabels(labels, selectorOf(config))) ??
    ofAnnotation(annotations[annotation]) ??
    first((config) => isIn(config, namespace) && !isSelecting(config)) ??
    first((config) => isIn(config, rootNamespace) && !isSelecting(config)) ??
    meshDefault
  );
}

function ofAnnotation(text: string | undefined): number | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  let value: unknown;
  try {
    value = load(text);
  } catch (error) {
    throw annotationError(messageOf(error));
  }
  if (!isRecord(value)) throw annotationError('it is no mapping');
  const { concurrency } = value;
  if (concurrency === undefined || concurrency === null) return undefined;
  if (typeof concurrency === 'number' && Number.isInteger(concurrency) && concurrency >= 0) return concurrency;
  throw annotationError(`concurrency is ${JSON.stringify(concurrency)}, not a number of threads, or 0 for one a core`);
}

function annotationError(state: string): AmbitError {
  return new AmbitError(`Cannot read the annotation ${annotation}: ${state}`, {
    code: 'control.overlay',
    blame: 'downstream',
  });
}

function ageOf({ metadata }: ProxyConfig): string {
  return `${metadata.creationTimestamp ?? ''} ${metadata.name}`;
}
