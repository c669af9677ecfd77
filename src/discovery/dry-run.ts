/** Policies on trial: the annotation `istio.io/dry-run`. */
import type { AuthorizationPolicy } from '../api/istio.ts';

/** As Go reads a boolean, since that is what Istio takes; what else is written there leaves the policy in force. */
const trueTexts: ReadonlySet<string | undefined> = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);

export function isDryRun({ metadata }: AuthorizationPolicy): boolean {
  return trueTexts.has(metadata.annotations?.['istio.io/dry-run']);
}
