/** Reads a container's log as `kubectl logs` asks for it: tail, since, timestamps, limit, follow. */
import { open, type FileHandle } from 'node:fs/promises';
import { sleep } from '../../lib/clock.ts';
import { codeOf } from '../../lib/errors.ts';
import { rotatedPath } from './container-log.ts';

export interface LogQuery {
  readonly follow: boolean;
  readonly timestamps: boolean;
  /** Undefined: all. */
  readonly tailLines: number | undefined;
  readonly sinceMs: number | undefined;
  readonly limitBytes: number | undefined;
  /** Undefined: both. */
  readonly stream: 'stdout' | 'stderr' | undefined;
}

export interface ReadLogOptions {
  readonly path: string;
  readonly query: LogQuery;
  /** Whether the container still writes; a followed log ends when it does not. */
  readonly isLive: () => boolean;
  readonly signal: AbortSignal;
  /** Resolves when more may be written. */
  readonly write: (chunk: Buffer) => Promise<void>;
}

const chunkBytes = 64 * 1024;
const followMs = 100;

/** The query of a `/containerLogs` request. Throws a RangeError that names the parameter when one is malformed. */
export function parseLogQuery(parameters: URLSearchParams, nowMs: number): LogQuery {
  const flag = (name: string): boolean => ['true', '1', ''].includes(parameters.get(name) ?? 'false');
  const count = (name: string): number | undefined => {
    const text = parameters.get(name);
    if (text === null || text === '') return undefined;
    if (!/^\d{1,15}$/.test(text))
      throw new RangeError(`${name}: "${text}" must be a whole number that is not negative`);
    return Number(text);
  };
  const stream = (parameters.get('stream') ?? 'All').toLowerCase();
  if (!['all', 'stdout', 'stderr'].includes(stream))
    throw new RangeError(`stream: "${parameters.get('stream')}" must be All, Stdout or Stderr`);
  const sinceSeconds = count('sinceSeconds');
  const sinceTime = parameters.get('sinceTime');
  if (sinceTime !== null && Number.isNaN(Date.parse(sinceTime)))
    throw new RangeError(`sinceTime: "${sinceTime}" must be an RFC 3339 time`);
  return {
    follow: flag('follow'),
    timestamps: flag('timestamps'),
    tailLines: count('tailLines'),
    sinceMs:
      sinceTime !== null ? Date.parse(sinceTime) : sinceSeconds === undefined ? undefined : nowMs - sinceSeconds * 1000,
    limitBytes: count('limitBytes'),
    stream: stream === 'stdout' || stream === 'stderr' ? stream : undefined,
  };
}

/** Copies the log out. Resolves at its end, when `signal` aborts, or when the limit is reached. */
export async function readLog(options: ReadLogOptions): Promise<void> {
  const { path, query, signal } = options;
  const output = new LogOutput(options);
  const lines = await readAll(path);
  const wanted = query.stream === undefined ? lines : lines.filter((line) => isOf(line, query.stream));
  const since = query.sinceMs === undefined ? wanted : wanted.filter((line) => timeOf(line) >= (query.sinceMs ?? 0));
  const tail = query.tailLines === undefined ? since : since.slice(Math.max(since.length - query.tailLines, 0));
  for (let i = 0; i < tail.length && !output.isFull && !signal.aborted; i += 500)
    await output.lines(tail.slice(i, i + 500));
  if (query.follow) await follow(options, output, lines.endBytes);
}

type Lines = Buffer[] & { endBytes: number };

/** Every whole line of the rotated part and the current one; `endBytes` is where the current file's last line ends. */
async function readAll(path: string): Promise<Lines> {
  const older = await readWhole(rotatedPath(path));
  const current = await readWhole(path);
  const lines = [...splitLines(older), ...splitLines(current)] as Lines;
  lines.endBytes = current.lastIndexOf(0x0a) + 1;
  return lines;
}

async function readWhole(path: string): Promise<Buffer> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    return await file.readFile();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return Buffer.alloc(0);
    throw error;
  } finally {
    await file?.close();
  }
}

async function follow(options: ReadLogOptions, output: LogOutput, startBytes: number): Promise<void> {
  const { path, query, signal } = options;
  let position = startBytes;
  let rest: Buffer = Buffer.alloc(0);
  let file = await open(path, 'r').catch(() => undefined);
  try {
    while (!signal.aborted && !output.isFull) {
      // Asked before reading: what was written before the end is still read.
      const wasLive = options.isLive();
      file ??= await open(path, 'r').catch(() => undefined);
      const chunk = file ? await readAt(file, position) : Buffer.alloc(0);
      if (chunk.length > 0) {
        position += chunk.length;
        rest = Buffer.concat([rest, chunk]);
        const end = rest.lastIndexOf(0x0a) + 1;
        const whole = splitLines(rest.subarray(0, end));
        await output.lines(query.stream === undefined ? whole : whole.filter((line) => isOf(line, query.stream)));
        rest = Buffer.from(rest.subarray(end));
        continue;
      }
      if (file && (await wasReplaced(path, file))) {
        await file.close();
        file = undefined;
        position = 0;
        continue;
      }
      if (!wasLive) return;
      await sleep(followMs, signal);
    }
  } finally {
    await file?.close();
  }
}

async function readAt(file: FileHandle, position: number): Promise<Buffer> {
  const buffer = Buffer.alloc(chunkBytes);
  const { bytesRead } = await file.read(buffer, 0, chunkBytes, position);
  return buffer.subarray(0, bytesRead);
}

async function wasReplaced(path: string, file: FileHandle): Promise<boolean> {
  const now = await open(path, 'r').catch(() => undefined);
  if (!now) return false;
  try {
    return (await now.stat()).ino !== (await file.stat()).ino;
  } finally {
    await now.close();
  }
}

/** Writes lines as the client wants them, up to its limit. */
class LogOutput {
  readonly #options: ReadLogOptions;
  #left: number;

  constructor(options: ReadLogOptions) {
    this.#options = options;
    this.#left = options.query.limitBytes ?? Number.POSITIVE_INFINITY;
  }

  get isFull(): boolean {
    return this.#left <= 0;
  }

  async lines(lines: readonly Buffer[]): Promise<void> {
    if (lines.length === 0 || this.isFull) return;
    let chunk = Buffer.concat(lines.map((line) => this.#format(line)));
    if (chunk.length > this.#left) chunk = chunk.subarray(0, this.#left);
    this.#left -= chunk.length;
    await this.#options.write(chunk);
  }

  /** `<time> <stream> <F|P> <text>\n`: a part of a longer line (P) loses its line end. */
  #format(line: Buffer): Buffer {
    const timeEnd = line.indexOf(0x20);
    const streamEnd = line.indexOf(0x20, timeEnd + 1);
    const textStart = streamEnd + 3;
    if (timeEnd < 0 || streamEnd < 0) return line;
    const isPart = line[streamEnd + 1] === 0x50;
    const text = line.subarray(textStart, isPart ? line.length - 1 : line.length);
    return this.#options.query.timestamps ? Buffer.concat([line.subarray(0, timeEnd + 1), text]) : text;
  }
}

function isOf(line: Buffer, stream: LogQuery['stream']): boolean {
  const start = line.indexOf(0x20) + 1;
  return line.toString('latin1', start, line.indexOf(0x20, start)) === stream;
}

function timeOf(line: Buffer): number {
  return Date.parse(line.subarray(0, Math.max(line.indexOf(0x20), 0)).toString());
}

function splitLines(data: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  let start = 0;
  for (let end = data.indexOf(0x0a); end >= 0; end = data.indexOf(0x0a, start)) {
    lines.push(data.subarray(start, end + 1));
    start = end + 1;
  }
  return lines;
}
