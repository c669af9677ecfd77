/** The streams of one exec or attach, whichever protocol carries them. */
import type { Readable, Writable } from 'node:stream';
import type { RemoteStatus } from './remote-status.ts';

export interface RemoteOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export interface RemoteSession {
  /** Ends when the client ends its input. */
  readonly stdin: Readable | undefined;
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
  /** Set once; sizes that came before are given at once. */
  onResize(listener: (size: TerminalSize) => void): void;
  /** Aborts when the client is gone. */
  readonly gone: AbortSignal;
  /** Ends the output streams, tells the outcome, closes the connection. */
  finish(status: RemoteStatus): void;
}

/** The options in a kubelet's query: `input`, `output`, `error` and `tty` are "1". A terminal has one output. */
export function parseRemoteOptions(query: URLSearchParams): RemoteOptions {
  const isSet = (name: string): boolean => ['1', 'true'].includes(query.get(name) ?? '');
  const tty = isSet('tty');
  const options = { stdin: isSet('input'), stdout: isSet('output'), stderr: isSet('error') && !tty, tty };
  if (!options.stdin && !options.stdout && !options.stderr)
    throw new RangeError('you must specify at least 1 of stdin, stdout, stderr');
  return options;
}

/** Reads the sizes in a stream of JSON objects, `{"Width":80,"Height":24}` one after another. */
export class SizeReader {
  #text = '';

  read(chunk: Buffer): TerminalSize[] {
    this.#text += chunk.toString();
    const sizes: TerminalSize[] = [];
    for (let end = this.#text.indexOf('}'); end >= 0; end = this.#text.indexOf('}')) {
      const size = parseSize(this.#text.slice(0, end + 1));
      this.#text = this.#text.slice(end + 1);
      if (size) sizes.push(size);
    }
    // No size is that long.
    if (this.#text.length > 256) this.#text = '';
    return sizes;
  }
}

function parseSize(text: string): TerminalSize | undefined {
  try {
    const { Width, Height } = JSON.parse(text) as { Width?: unknown; Height?: unknown };
    const isSize = (value: unknown): value is number =>
      typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff;
    return isSize(Width) && isSize(Height) ? { columns: Width, rows: Height } : undefined;
  } catch {
    return undefined;
  }
}

/** Keeps the last size until somebody listens. */
export class SizeKeeper {
  #last: TerminalSize | undefined;
  #listener: ((size: TerminalSize) => void) | undefined;

  set(size: TerminalSize): void {
    this.#last = size;
    this.#listener?.(size);
  }

  listen(listener: (size: TerminalSize) => void): void {
    this.#listener = listener;
    if (this.#last) listener(this.#last);
  }
}
