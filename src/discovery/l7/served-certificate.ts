/** Which certificate of a Secret serves: the one that is there, or the last good one while that is better. Pure. */
import type { Certificate, Unusable } from './secrets.ts';

export interface ServedCertificate {
  /** Absent: nothing that the Secret has, or had, can be used. */
  readonly certificate?: Certificate;
  /** What is wrong with what the Secret holds now, in words that follow its name; absent: nothing. */
  readonly problem?: string;
  /** When time alone changes this, in ms since 1970; absent: never. */
  readonly changesAtMs?: number;
  /** Proxies may hold a better one than we know of: nothing good of the Secret has been seen since we started. */
  readonly keepsLast?: true;
}

/** `last`: the last content of the Secret that could be used, and was valid then. */
export function servedCertificate(
  now: Certificate | Unusable,
  last: Certificate | undefined,
  nowMs: number,
): ServedCertificate {
  const problem = certificateProblem(now, nowMs);
  if (problem === undefined) {
    const certificate = now as Certificate;
    return { certificate, changesAtMs: endOf(certificate) };
  }
  const beginsMs = now.kind === 'certificate' && nowMs < now.validFromMs ? now.validFromMs : Infinity;
  if (last && certificateProblem(last, nowMs) === undefined) {
    return {
      certificate: last,
      problem: `${problem}; the last good certificate goes on serving`,
      changesAtMs: Math.min(endOf(last), beginsMs),
    };
  }
  const serving = now.kind === 'certificate' ? now : last;
  if (!serving) {
    const meanwhile = 'proxies that hold its last good certificate go on with that, others refuse connections';
    return { problem: `${problem}; ${meanwhile}`, keepsLast: true };
  }
  const isBest = last !== undefined;
  const which = serving === now ? 'it serves all the same' : 'the last good certificate serves, which has ended too';
  const why = isBest ? 'there is no better one' : 'but proxies that hold a better one go on with that';
  return {
    certificate: serving,
    problem: `${problem}; ${which}${isBest ? ':' : ','} ${why}`,
    ...(isBest ? {} : { keepsLast: true as const }),
    ...(beginsMs < Infinity ? { changesAtMs: beginsMs } : {}),
  };
}

/** Why clients would not take it now, in words that follow the name of its Secret; undefined: they would. */
export function certificateProblem(certificate: Certificate | Unusable, nowMs: number): string | undefined {
  if (certificate.kind === 'unusable') return certificate.problem;
  const { validFromMs, validToMs } = certificate;
  if (nowMs > validToMs) return `holds a certificate that ended at ${textOf(validToMs)}`;
  if (nowMs < validFromMs) return `holds a certificate that is not valid before ${textOf(validFromMs)}`;
  return undefined;
}

/** The first moment at which it is not valid any more. */
function endOf({ validToMs }: Certificate): number {
  return validToMs + 1;
}

function textOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
