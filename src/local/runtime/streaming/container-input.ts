/** What a container reads: a pipe, or a terminal. Whoever is attached writes to it; between them it stays open. */
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { TerminalSize } from './remote-session.ts';
import type { Terminal } from './terminal.ts';

export type ContainerInputTarget =
  | { readonly kind: 'pipe'; readonly writeFd: number }
  | { readonly kind: 'terminal'; readonly terminal: Terminal };

/** What ends the input of a program that reads a terminal. */
export const endOfInput: Buffer = Buffer.from([4]);

export class ContainerInput {
  readonly #target:
    | { readonly kind: 'pipe'; readonly pipe: Socket }
    | { readonly kind: 'terminal'; readonly terminal: Terminal };
  readonly #isOnce: boolean;

  /** Owns the target. `isOnce`: the first source that ends ends the container's input too. */
  constructor(target: ContainerInputTarget, isOnce: boolean) {
    this.#isOnce = isOnce;
    if (target.kind === 'terminal') {
      this.#target = target;
      return;
    }
    const pipe = new Socket({ fd: target.writeFd, readable: false, writable: true });
    // A command need not read what it is given.
    pipe.on('error', () => pipe.destroy());
    this.#target = { kind: 'pipe', pipe };
  }

  get isOnce(): boolean {
    return this.#isOnce;
  }

  /** Gives the container what comes from `source`, at the pace that it reads. */
  feed(source: Readable): void {
    const target = this.#target;
    source.on('data', (chunk: Buffer) => {
      source.pause();
      if (target.kind === 'terminal') void target.terminal.write(chunk).then(() => source.resume());
      else target.pipe.write(chunk, () => source.resume());
    });
    source.on('end', () => {
      if (this.#isOnce) this.#end();
    });
  }

  resize(size: TerminalSize): void {
    if (this.#target.kind === 'terminal') this.#target.terminal.resize(size);
  }

  /** For when the container is gone. */
  close(): void {
    if (this.#target.kind === 'terminal') this.#target.terminal.close();
    else this.#target.pipe.destroy();
  }

  #end(): void {
    if (this.#target.kind === 'terminal') void this.#target.terminal.write(endOfInput);
    else this.#target.pipe.end();
  }
}
