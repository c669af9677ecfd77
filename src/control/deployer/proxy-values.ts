/** What whoever installs the mesh says of the proxies that it deploys: one JSON value, from the chart. */
import type { Container, PodSpec, ResourceRequirements, Toleration } from '../../api/core.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';

export interface ProxyValues {
  readonly image: string;
  readonly imagePullPolicy?: NonNullable<Container['imagePullPolicy']>;
  /** Names of Secrets, looked for in the namespace of each Gateway. */
  readonly imagePullSecrets?: readonly string[];
  readonly logLevel?: string;
  readonly waypoint?: Placement;
  readonly gateway?: Placement;
}

export interface Placement {
  readonly resources?: ResourceRequirements;
  readonly affinity?: NonNullable<PodSpec['affinity']>;
  readonly topologySpreadConstraints?: NonNullable<PodSpec['topologySpreadConstraints']>;
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly tolerations?: readonly Toleration[];
  /** How long connections may live on in a proxy that ends; default 60. */
  readonly terminationGracePeriodSeconds?: number;
}

export const defaultProxyValues: ProxyValues = { image: 'ambit/ambit:latest' };

const fields: ReadonlySet<string> = new Set<keyof ProxyValues>([
  'image',
  'imagePullPolicy',
  'imagePullSecrets',
  'logLevel',
  'waypoint',
  'gateway',
]);

/** Throws `control.proxy-values`, naming what is wrong. What is inside of a placement the API server judges. */
export function parseProxyValues(text: string): ProxyValues {
  const fail = (reason: string): AmbitError =>
    new AmbitError(`Cannot read the settings of deployed proxies: ${reason}`, {
      code: 'control.proxy-values',
      blame: 'downstream',
    });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fail(messageOf(error));
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw fail('they are no JSON object');
  const unknown = Object.keys(value).filter((name) => !fields.has(name));
  if (unknown.length > 0) throw fail(`unknown fields ${unknown.join(', ')}`);
  const values = value as ProxyValues;
  if (typeof values.image !== 'string' || values.image === '') throw fail('image is not a name');
  return values;
}
