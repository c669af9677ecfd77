/** Reads one HTTP/1.1 answer off a stream: Node's own client does it, over a connection that is already open. */
import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import { AmbitError } from '../lib/errors.ts';

const largestBody = 256 * 1024 * 1024;
const withinMs = 30_000;

export interface HttpCall {
  readonly method: 'GET' | 'POST';
  readonly path: string;
}

/**
 * One request over `stream`. Throws `cli.http-refused`, with the answer's own words, when it is told that the request is wrong (400),
 * and `cli.http` on any other status than 200. The caller destroys the stream.
 */
export function httpCall(stream: Duplex, { method, path }: HttpCall): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (detail: string): void =>
      reject(new AmbitError(`No answer to ${method} ${path}: ${detail}`, { code: 'cli.http', blame: 'upstream' }));
    // Node takes any Duplex here; only its type says Socket.
    const createConnection = (): never => stream as never;
    const call = request(
      {
        method,
        path,
        host: 'localhost',
        createConnection,
        headers: { connection: 'close' },
        signal: AbortSignal.timeout(withinMs),
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > largestBody) response.destroy(new Error('the answer is too large'));
          chunks.push(chunk);
        });
        response.on('error', (error) => fail(error.message));
        response.on('end', () => {
          const body = Buffer.concat(chunks).toString();
          if (response.statusCode === 200) resolve(body);
          else if (response.statusCode === 400)
            reject(new AmbitError(body.trimEnd(), { code: 'cli.http-refused', blame: 'downstream' }));
          else fail(`${response.statusCode} ${body.trimEnd()}`);
        });
      },
    );
    call.on('error', (error) => fail(error.message));
    stream.on('error', (error) => fail(error.message));
    call.end();
  });
}
