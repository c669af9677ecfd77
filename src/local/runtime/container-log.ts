/** A container's output on disk, one line each as CRI writes it: `<RFC 3339 time> <stdout|stderr> <F|P> <text>`. */
import { createWriteStream, type WriteStream } from 'node:fs';
import { rename, stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { Log } from '../../lib/log.ts';
import { messageOf } from '../../lib/errors.ts';

export type OutputStream = 'stdout' | 'stderr';

/** A longer line is cut into parts, marked P but for the last. */
const longestLine = 16 * 1024;
/** A log past this becomes `<name>.rotated`, replacing the one before. */
const rotateBytes = 10 * 1024 * 1024;
const newline = 0x0a;

export interface ContainerLogOptions {
  readonly path: string;
  readonly log: Log;
  readonly now?: () => Date;
}

/** Name of the rotated part of a log file. */
export function rotatedPath(path: string): string {
  return `${path}.rotated`;
}

export class ContainerLog {
  readonly #options: ContainerLogOptions;
  #file: WriteStream;
  #bytes = 0;
  #rotating = false;

  constructor(options: ContainerLogOptions) {
    this.#options = options;
    this.#file = this.#open();
  }

  /** Copies `source` into the log until it ends, at the pace of the disk. */
  attach(stream: OutputStream, source: Readable): void {
    let rest: Buffer = Buffer.alloc(0);
    source.on('data', (chunk: Buffer) => {
      let data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const time = (this.#options.now?.() ?? new Date()).toISOString();
      const parts: Buffer[] = [];
      for (;;) {
        const end = data.indexOf(newline);
        if (end >= 0 && end <= longestLine) {
          parts.push(Buffer.from(`${time} ${stream} F `), data.subarray(0, end + 1));
          data = data.subarray(end + 1);
        } else if (data.length > longestLine) {
          parts.push(Buffer.from(`${time} ${stream} P `), data.subarray(0, longestLine), Buffer.from('\n'));
          data = data.subarray(longestLine);
        } else break;
      }
      rest = data.length === 0 ? data : Buffer.from(data);
      if (parts.length > 0 && !this.#write(Buffer.concat(parts))) {
        source.pause();
        // A file that is rotated or failed meanwhile closes instead of draining.
        const file = this.#file;
        const resume = (): void => {
          file.off('drain', resume).off('close', resume);
          source.resume();
        };
        file.on('drain', resume).on('close', resume);
      }
    });
    source.on('end', () => {
      if (rest.length === 0) return;
      const time = (this.#options.now?.() ?? new Date()).toISOString();
      this.#write(Buffer.concat([Buffer.from(`${time} ${stream} F `), rest, Buffer.from('\n')]));
    });
    source.on('error', () => {});
  }

  /** Resolves when everything is in the file. */
  close(): Promise<void> {
    return new Promise((resolve) => this.#file.end(resolve));
  }

  #write(data: Buffer): boolean {
    this.#bytes += data.length;
    if (this.#bytes > rotateBytes) void this.#rotate();
    return this.#file.write(data);
  }

  #open(): WriteStream {
    const file = createWriteStream(this.#options.path, { flags: 'a', mode: 0o640 });
    file.on('error', (error) => {
      this.#options.log.error('Cannot write a container log', { path: this.#options.path, error: messageOf(error) });
    });
    return file;
  }

  async #rotate(): Promise<void> {
    if (this.#rotating) return;
    this.#rotating = true;
    try {
      const { size } = await stat(this.#options.path);
      this.#bytes = size;
      if (size <= rotateBytes) return;
      await rename(this.#options.path, rotatedPath(this.#options.path));
      // What waits in the old stream still goes to the old file.
      this.#file.end();
      this.#file = this.#open();
      this.#bytes = 0;
    } catch (error) {
      this.#options.log.warn('Cannot rotate a container log', { path: this.#options.path, error: messageOf(error) });
    } finally {
      this.#rotating = false;
    }
  }
}
