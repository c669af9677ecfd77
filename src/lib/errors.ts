/** Typed failures: every expected failure has a code, somebody to blame, and a message that says action, then state. */

/** Who caused it: the caller (downstream), whoever we called (upstream), or ourselves (internal). */
export type Blame = 'downstream' | 'upstream' | 'internal';

export interface AmbitErrorOptions {
  /** `module.reason`, stable, for logs, metrics and tests: `identity.untrusted-root`. */
  readonly code: string;
  readonly blame: Blame;
  readonly cause?: unknown;
}

/** An expected failure. A broken invariant throws a plain `Error` instead. */
export class AmbitError extends Error {
  readonly code: string;
  readonly blame: Blame;

  constructor(message: string, options: AmbitErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AmbitError';
    this.code = options.code;
    this.blame = options.blame;
  }
}

/** The message of anything thrown, on one line, without a stack. */
export function messageOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message || thrown.name : String(thrown);
  return text.replaceAll(/\s*\n\s*/g, ' ');
}

/** The `code` of a Node system error or of an AmbitError, if it has one. */
export function codeOf(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}

/** Ends a `switch` over a union: a new member is a type error here, and a broken invariant at run time. */
export function unreachable(value: never): never {
  throw new Error(`Unexpected value: ${JSON.stringify(value)}`);
}
