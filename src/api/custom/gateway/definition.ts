/** What all CustomResourceDefinitions of the Gateway API have in common. */
import type { KindRef } from '../../meta.ts';
import type { JsonSchema } from '../../schema/schema.ts';
import type { CustomKind, CustomVersion, PrinterColumn } from '../custom-kind.ts';
import { object } from './shape.ts';

/** The release whose fields and rules these schemas state, experimental channel. */
const bundleVersion = 'v1.6.3';

export const age: PrinterColumn = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };
export const hostnamesColumn: PrinterColumn = { name: 'Hostnames', type: 'string', jsonPath: '.spec.hostnames' };
export const accepted: PrinterColumn = conditionColumn('Accepted');
export const programmed: PrinterColumn = conditionColumn('Programmed');

export function gatewayKind(ref: KindRef, traits: Omit<CustomKind, 'ref' | 'categories' | 'annotations'>): CustomKind {
  return {
    ref,
    categories: ['gateway-api'],
    annotations: {
      'api-approved.kubernetes.io': 'https://github.com/kubernetes-sigs/gateway-api/pull/4530',
      'gateway.networking.k8s.io/bundle-version': bundleVersion,
      'gateway.networking.k8s.io/channel': 'experimental',
    },
    ...traits,
  };
}

/** Labels of a policy's definition that say that it touches only what it targets (GEP-2648). */
export const directPolicy: Readonly<Record<string, string>> = { 'gateway.networking.k8s.io/policy': 'Direct' };

/** The whole object: `spec` must be there. */
export function kindSchema(description: string, spec: JsonSchema, status?: JsonSchema): JsonSchema {
  return object(description, { spec, ...(status && { status }) }, 'spec');
}

/** A version that is still served, with the warning that clients get. */
export function deprecated(kind: string, version: CustomVersion): CustomVersion {
  return {
    ...version,
    deprecationWarning: `The ${version.name} version of ${kind} has been deprecated and will be removed in a future release of the API. Please upgrade to v1.`,
  };
}

function conditionColumn(type: string): PrinterColumn {
  return { name: type, type: 'string', jsonPath: `.status.conditions[?(@.type=="${type}")].status` };
}
