/** Small JSON questions over the unix sockets of a state folder. */
import { request } from 'node:http';
import { join } from 'node:path';
import { AmbitError } from '../../lib/errors.ts';
import type { StatePaths } from './state-dir.ts';

/** `GET path` of a node's runtime. */
export function nodeGet(paths: StatePaths, node: string, path: string): Promise<unknown> {
  return askSocket(join(paths.sockets, `${node}.sock`), 'GET', path);
}

/** One request over a unix socket; the answer is JSON. Throws `local.no-answer`. */
export function askSocket(
  socketPath: string,
  method: 'GET' | 'POST',
  path: string,
  timeoutMs = 10_000,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = (detail: string): void =>
      reject(new AmbitError(`No answer from ${socketPath}: ${detail}`, { code: 'local.no-answer', blame: 'upstream' }));
    const call = request({ socketPath, method, path, timeout: timeoutMs, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', (error) => fail(error.message));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        if (response.statusCode !== 200) return fail(`${response.statusCode} ${text}`);
        try {
          resolve(JSON.parse(text));
        } catch {
          fail('not JSON');
        }
      });
    });
    call.on('timeout', () => call.destroy(new Error('timeout')));
    call.on('error', (error) => fail(error.message));
    call.end();
  });
}
