/** Which lines the requests and connections of a place leave, and where (ambient-l7, 4.2). */
import type { AccessLogPolicy, Provider, ProxySettings, TelemetryPolicy } from '../../api/l7/index.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { compileRequestExpression, type RequestExpression } from '../../policy/request-expression.ts';
import {
  compileJsonFormat,
  compileTextFormat,
  defaultJsonFormat,
  defaultTextFormat,
  LineWriter,
  parseJsonFormat,
  type JsonFormat,
  type OperatorResolver,
} from '../../telemetry/index.ts';
import { ConfigError } from '../config/config-error.ts';
import type { HttpRun } from '../engine/http-run.ts';
import type { TcpRun } from '../engine/tcp-run.ts';
import { HttpContext, TcpContext } from './expression-context.ts';
import type { Logged } from './log-operators.ts';

/** Takes the text of a batch of lines, and calls `done` when it may have the next. */
export type WriteLines = (text: string, done: () => void) => void;

export interface AccessLogsOptions {
  readonly resolve: OperatorResolver<Logged>;
  /** `path` is `/dev/stdout`, `/dev/stderr` or a file. */
  readonly open: (path: string) => WriteLines;
  readonly nowMs: () => number;
  readonly log: Log;
}

/** Logs of one place; undefined: it has none. */
export type PlaceLog = ((run: Logged) => void) | undefined;

type Line = (run: Logged) => string;

export interface PlaceLogInputs {
  readonly settings: ProxySettings;
  /** From the widest scope to the narrowest. */
  readonly policies: readonly TelemetryPolicy[];
  readonly providers: ReadonlyMap<string, Provider>;
}

/** All of a process: writers by path, formats by their text. */
export class AccessLogs {
  readonly #options: AccessLogsOptions;
  readonly #writers = new Map<string, LineWriter>();
  readonly #lines = new Map<string, Line>();

  constructor(options: AccessLogsOptions) {
    this.#options = options;
  }

  /** Throws a ConfigError for an expression that cannot be read. */
  of({ settings, policies, providers }: PlaceLogInputs): PlaceLog {
    const side = settings.role === 'waypoint' ? 'server' : 'client';
    const saying = policies.flatMap((policy) => (policy.accessLogs ? { policy, logs: policy.accessLogs } : [])).at(-1);
    if (!saying) {
      if (settings.accessLog.kind === 'off') return undefined;
      return this.#logTo('/dev/stdout', this.#ofSettings(settings), undefined);
    }
    const logs = saying.logs
      .filter((one) => !one.disabled && (one.side === undefined || one.side === side))
      .map((one) => this.#ofPolicy(saying.policy, one, settings, providers));
    if (logs.length < 2) return logs[0];
    return (run) => {
      for (const log of logs) log(run);
    };
  }

  /** Resolves once everything so far was handed on. */
  async flush(): Promise<void> {
    await Promise.all([...this.#writers.values()].map((writer) => writer.flush()));
  }

  #ofPolicy(
    policy: TelemetryPolicy,
    { provider: name, filter }: AccessLogPolicy,
    settings: ProxySettings,
    providers: ReadonlyMap<string, Provider>,
  ): (run: Logged) => void {
    const use = name === undefined ? undefined : providers.get(name)?.use;
    if (name !== undefined && use?.kind !== 'access-log-file') {
      throw new ConfigError(policy, `Cannot log to the provider "${name}": it is no file for access logs`);
    }
    const expression = filter === undefined ? undefined : compileFilter(policy, filter);
    if (use?.kind !== 'access-log-file') return this.#logTo('/dev/stdout', this.#ofSettings(settings), expression);
    const { format } = use;
    const line = format.kind === 'text' ? this.#text(format.template) : this.#json(format.fields);
    return this.#logTo(use.path, line, expression);
  }

  #ofSettings({ accessLog }: ProxySettings): Line {
    switch (accessLog.kind) {
      case 'off':
        return this.#text('');
      case 'text':
        return this.#text(accessLog.template);
      case 'json':
        return this.#json(accessLog.template);
    }
  }

  #logTo(path: string, line: Line, filter: RequestExpression | undefined): (run: Logged) => void {
    const writer = this.#writer(path);
    if (!filter) return (run) => writer.write(line(run));
    return (run) => {
      if (passes(filter, run)) writer.write(line(run));
    };
  }

  /** Empty: Istio's own, and why there was no answer where there was none. */
  #text(template: string): Line {
    return this.#remembered(`text ${template}`, () => {
      const { resolve } = this.#options;
      if (template !== '') return compileTextFormat(template, resolve);
      const usual = compileTextFormat(defaultTextFormat, resolve);
      const withReason = compileTextFormat(' reason="%AMBIT_REASON%"', resolve);
      return (run) => (run.reason === '' ? usual(run) : usual(run) + withReason(run));
    });
  }

  /** Fields, or the JSON text of them; empty as above. */
  #json(fields: string | Readonly<Record<string, string>>): Line {
    return this.#remembered(`json ${typeof fields === 'string' ? fields : JSON.stringify(fields)}`, () => {
      const { resolve } = this.#options;
      const format: JsonFormat =
        typeof fields === 'string' && fields !== '' ? parseJsonFormat(fields) : asFormat(fields);
      if (Object.keys(format).length > 0) return compileJsonFormat(format, resolve);
      const usual = compileJsonFormat(defaultJsonFormat, resolve);
      const withReason = compileJsonFormat({ ...defaultJsonFormat, reason: '%AMBIT_REASON%' }, resolve);
      return (run) => (run.reason === '' ? usual(run) : withReason(run));
    });
  }

  /** A format that cannot be read never keeps traffic from passing: the usual one takes its place, and the log says so. */
  #remembered(key: string, compile: () => Line): Line {
    let line = this.#lines.get(key);
    if (line) return line;
    try {
      line = compile();
    } catch (error) {
      this.#options.log.warn('access log format not understood: lines are in the usual one', {
        error: messageOf(error),
      });
      line = key.startsWith('json ') ? this.#json('') : this.#text('');
    }
    if (this.#lines.size >= 1000) this.#lines.clear();
    this.#lines.set(key, line);
    return line;
  }

  #writer(path: string): LineWriter {
    let writer = this.#writers.get(path);
    if (writer) return writer;
    const { open, nowMs, log } = this.#options;
    writer = new LineWriter({
      write: open(path),
      nowMs,
      droppedLine: (count) => {
        log.warn('access log lines dropped', { path, count });
        return `${new Date(nowMs()).toISOString()} access log lines dropped: ${count}`;
      },
    });
    this.#writers.set(path, writer);
    return writer;
  }
}

function asFormat(fields: string | Readonly<Record<string, string>>): JsonFormat {
  return typeof fields === 'string' ? {} : fields;
}

function compileFilter(policy: TelemetryPolicy, filter: string): RequestExpression {
  try {
    return compileRequestExpression(filter);
  } catch (error) {
    throw new ConfigError(policy, messageOf(error));
  }
}

/** What cannot be evaluated leaves no line, as in Envoy. */
function passes(filter: RequestExpression, run: Logged): boolean {
  try {
    return filter.evaluate(contextOf(run)) === true;
  } catch {
    return false;
  }
}

function contextOf(run: HttpRun | TcpRun): HttpContext | TcpContext {
  return 'request' in run ? new HttpContext(run) : new TcpContext(run);
}
