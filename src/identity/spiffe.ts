/** SPIFFE ids of workloads: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`, parsed strictly. */
import type { SpiffeId } from '../api/names.ts';
import { AmbitError } from '../lib/errors.ts';

export interface SpiffeParts {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

const maxBytes = 2048;
// The SPIFFE ID standard, section 2: no user info, port, query, fragment or escapes; no empty, "." or ".." segments.
// The five segments are Istio's. All other characters are absent from the classes, so they are refused.
const pattern = /^spiffe:\/\/([a-z0-9._-]{1,255})\/ns\/([A-Za-z0-9._-]+)\/sa\/([A-Za-z0-9._-]+)$/;

/** Undefined when the text is not a workload's SPIFFE id. */
export function tryParseSpiffeId(text: string): SpiffeId | undefined {
  return matchSpiffeId(text) ? (text as SpiffeId) : undefined;
}

/** Throws `identity.invalid-spiffe-id`. */
export function parseSpiffeId(text: string): SpiffeId {
  const id = tryParseSpiffeId(text);
  if (id === undefined) {
    const shown = JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);
    throw new AmbitError(`Cannot parse SPIFFE id ${shown}`, {
      code: 'identity.invalid-spiffe-id',
      blame: 'downstream',
    });
  }
  return id;
}

export function spiffeParts(id: SpiffeId): SpiffeParts {
  const match = matchSpiffeId(id);
  if (!match) throw new Error(`Not a parsed SPIFFE id: ${id}`);
  const [, trustDomain = '', namespace = '', serviceAccount = ''] = match;
  return { trustDomain, namespace, serviceAccount };
}

function matchSpiffeId(text: string): RegExpExecArray | null {
  if (text.length > maxBytes) return null;
  const match = pattern.exec(text);
  const dots = (segment: string | undefined): boolean => segment === '.' || segment === '..';
  return match && !dots(match[1]) && !dots(match[2]) && !dots(match[3]) ? match : null;
}
