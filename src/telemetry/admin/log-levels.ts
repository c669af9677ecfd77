/** Log levels that change while the process runs: one for all, others by scope. */
import type { Log, LogLevel } from '../../lib/log.ts';

const order: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 };

/** The words of Istio's tools for the levels. */
const synonyms: ReadonlyMap<string, LogLevel> = new Map([
  ['trace', 'debug'],
  ['warning', 'warn'],
  ['critical', 'error'],
  ['off', 'silent'],
]);

export interface LogLevels {
  /** The log to use; `base` itself must let everything pass. */
  readonly log: Log;
  /** Of a scope that is not one of `log`'s. */
  levelOf(scope: string): LogLevel;
  /** What is wrong with a text for `set`, or undefined. */
  check(text: string): string | undefined;
  /** `info` or `scope:debug,other:warn`, where `=` does for the colon. All of it or nothing. Returns the problem, or undefined when it was taken. */
  set(text: string): string | undefined;
  reset(): void;
  /** As `set` takes it. */
  describe(): string;
  /** Calls `run` after each change, until the returned function is called. */
  onChange(run: () => void): () => void;
}

/** The scopes of a process: a level for any other one would say nothing, and is refused. */
export interface LogScopes {
  /** The process itself, with which its log begins the scope of each line: `ztunnel` in `ztunnel.zds`. */
  readonly process: string;
  /** Without it, as in `zds` and `data.pool`; a level of `data` is that of `data.pool` too. */
  readonly names: readonly string[];
}

/** `initial`: as `set` takes it. Throws if it is not. `known` absent: any scope is one. */
export function createLogLevels(base: Log, initial: string, known?: LogScopes): LogLevels {
  const scopes = new Map<string, LogLevel>();
  const listeners = new Set<() => void>();
  let general: LogLevel = 'info';
  const levelOf = (scope: string): LogLevel => {
    let best = general;
    let bestLength = -1;
    for (const [name, level] of scopes) {
      if (name.length > bestLength && (scope === name || scope.startsWith(`${name}.`))) {
        best = level;
        bestLength = name.length;
      }
    }
    return best;
  };
  const wrap = (inner: Log, scope: string): Log => {
    const passes = (level: LogLevel): boolean => order[level] >= order[levelOf(scope)];
    return {
      debug: (message, fields) => passes('debug') && inner.debug(message, fields),
      info: (message, fields) => passes('info') && inner.info(message, fields),
      warn: (message, fields) => passes('warn') && inner.warn(message, fields),
      error: (message, fields) => passes('error') && inner.error(message, fields),
      child: (name, fields) => wrap(inner.child(name, fields), scope === '' ? name : `${scope}.${name}`),
    };
  };
  const apply = (text: string): string | undefined => {
    const parsed = parseLogLevels(text, known);
    if (typeof parsed === 'string') return parsed;
    for (const [scope, level] of parsed) {
      if (scope === '') general = level;
      else scopes.set(scope, level);
    }
    for (const run of listeners) run();
    return undefined;
  };
  const problem = apply(initial);
  if (problem !== undefined) throw new Error(problem);
  return {
    log: wrap(base, ''),
    levelOf,
    check(text) {
      const parsed = parseLogLevels(text, known);
      return typeof parsed === 'string' ? parsed : undefined;
    },
    set: apply,
    reset() {
      scopes.clear();
      general = 'info';
      apply(initial);
    },
    describe: () => [general, ...[...scopes].map(([scope, level]) => `${scope}:${level}`)].join(','),
    onChange(run) {
      listeners.add(run);
      return () => void listeners.delete(run);
    },
  };
}

/** Has the access log follow the level of the scope `access`. */
export function followAccessLevel(levels: LogLevels, accessLog: { threshold: LogLevel }): void {
  const apply = (): void => void (accessLog.threshold = levels.levelOf('access'));
  apply();
  levels.onChange(apply);
}

/** For messages. */
export const logLevelNames = 'debug, info, warn, error or silent';

/** One level, in our words or in those of Istio's tools. */
export function tryParseLogLevel(text: string): LogLevel | undefined {
  const word = text.toLowerCase();
  return Object.hasOwn(order, word) ? (word as LogLevel) : synonyms.get(word);
}

/** Pairs of scope (empty: all others) and level, or what is wrong. */
export function parseLogLevels(text: string, known?: LogScopes): [string, LogLevel][] | string {
  const pairs: [string, LogLevel][] = [];
  for (const entry of text.split(',')) {
    const [, path = '', word = ''] = /^(?:(.+)[:=])?([^:=]*)$/.exec(entry.trim()) ?? [];
    const level = tryParseLogLevel(word);
    if (!level) return `Unknown level "${word}": use ${logLevelNames}`;
    // Names of upstream's scopes come with paths: only the last part is a scope here.
    const scope = path.split('::').at(-1) ?? '';
    const scopes = known ? knownScopes(scope, known) : [scope];
    if (scopes.length === 0) return `Unknown scope "${scope}": there are ${known?.names.join(', ')}`;
    for (const each of scopes) pairs.push([each, level]);
  }
  return pairs;
}

/** The entries of a text that was written for another program, but for those of scopes that are not ours. */
export function withoutForeignScopes(text: string, known: LogScopes): string {
  const entries = text.split(',');
  const isForeign = (entry: string): boolean =>
    typeof parseLogLevels(entry) !== 'string' && typeof parseLogLevels(entry, known) === 'string';
  return entries.filter((entry) => !isForeign(entry)).join(',');
}

/** What is meant: a scope or a group of them, also as lines have it (`ztunnel.data.pool`), or its last part alone (`pool`). */
function knownScopes(scope: string, known: LogScopes): readonly string[] {
  const { process, names } = known;
  if (names.some((name) => name === scope || name.startsWith(`${scope}.`))) return [scope];
  if (scope === '' || scope === process) return [''];
  if (scope.startsWith(`${process}.`)) return knownScopes(scope.slice(process.length + 1), known);
  return names.filter((name) => name.endsWith(`.${scope}`));
}
