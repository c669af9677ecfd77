/** What a client brings to stay at its endpoint: which one, and since when. Opaque to clients; not secret, and not to be trusted. Pure. */
import type { WorkloadUid } from '../../../api/names.ts';

export interface SessionToken {
  /** Name of the backend. */
  readonly backend: string;
  readonly host: WorkloadUid;
  /** When the session began, in milliseconds since 1970. */
  readonly sinceMs: number;
}

const maxLength = 1024;

export function formatToken({ backend, host, sinceMs }: SessionToken): string {
  return Buffer.from(`${Math.floor(sinceMs / 1000)}\n${backend}\n${host}`).toString('base64url');
}

/** Undefined: it is none of ours. */
export function tryParseToken(text: string): SessionToken | undefined {
  if (text.length === 0 || text.length > maxLength || !/^[\w-]+$/.test(text)) return undefined;
  const parts = Buffer.from(text, 'base64url').toString().split('\n');
  const [since = '', backend = '', host = ''] = parts;
  if (parts.length !== 3 || !/^\d{1,12}$/.test(since) || backend === '' || host === '') return undefined;
  return { backend, host: host as WorkloadUid, sinceMs: Number(since) * 1000 };
}
