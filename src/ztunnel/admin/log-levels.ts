/** Log levels that change while the process runs: one for all, others by scope. */
import type { Log, LogLevel } from '../../lib/log.ts';

const order: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 };

export interface LogLevels {
  /** The log to use; `base` itself must let everything pass. */
  readonly log: Log;
  /** `info` or `scope:debug,other:warn`. Returns the problem, or undefined when it was taken. */
  set(text: string): string | undefined;
  reset(): void;
  /** As `set` takes it. */
  describe(): string;
}

export function createLogLevels(base: Log, initial: LogLevel): LogLevels {
  const scopes = new Map<string, LogLevel>();
  let general = initial;
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
  return {
    log: wrap(base, ''),
    set(text) {
      const changes: [string, LogLevel][] = [];
      for (const entry of text.split(',')) {
        const colon = entry.lastIndexOf(':');
        const level = entry.slice(colon + 1);
        if (!isLevel(level)) return `Unknown level "${level}": use debug, info, warn, error or silent`;
        changes.push([colon < 0 ? '' : entry.slice(0, colon), level]);
      }
      for (const [scope, level] of changes) {
        if (scope === '') general = level;
        else scopes.set(scope, level);
      }
      return undefined;
    },
    reset() {
      general = initial;
      scopes.clear();
    },
    describe: () => [general, ...[...scopes].map(([scope, level]) => `${scope}:${level}`)].join(','),
  };
}

function isLevel(text: string): text is LogLevel {
  return text in order;
}
