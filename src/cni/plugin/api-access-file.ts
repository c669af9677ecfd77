/** The file by which the plugin may ask the API while the agent is away: written anew as tokens rotate, for root alone. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { ApiAccess } from './pod-lookup.ts';

export interface ApiAccessFileOptions {
  readonly path: string;
  readonly access: () => ApiAccess;
  readonly log: Log;
}

const renewMs = 60_000;

/** Beside the socket where the plugin asks first. */
export function apiAccessPath(pluginSocketPath: string): string {
  return join(dirname(pluginSocketPath), 'api-access.json');
}

export class ApiAccessFile {
  readonly #options: ApiAccessFileOptions;
  #written = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ApiAccessFileOptions) {
    this.#options = options;
  }

  start(): void {
    this.#write();
    this.#timer = setInterval(() => this.#write(), renewMs);
  }

  /** The file stays: that is what it is for. */
  close(): void {
    clearInterval(this.#timer);
  }

  #write(): void {
    const { path, access, log } = this.#options;
    try {
      const text = JSON.stringify(access());
      if (text === this.#written) return;
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(`${path}.new`, text, { mode: 0o600 });
      renameSync(`${path}.new`, path);
      this.#written = text;
    } catch (error) {
      log.warn('cannot leave the CNI plugin an access to the API', { path, error: messageOf(error) });
    }
  }
}
