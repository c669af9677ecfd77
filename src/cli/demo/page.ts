/** Bookinfo's page on this machine's loopback: through the gateway at the edge of the mesh. */
import { createServer } from 'node:net';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import { sleep } from '../../lib/clock.ts';

const preferredPort = 8080;
const patienceMs = 10_000;
const pollMs = 200;

/** What `up` publishes for the page on `port`. */
export function publishedPage(port: number): string {
  return `${port}:istio-ingress/gateway:80`;
}

export function pageUrl(port: number): string {
  return `http://127.0.0.1:${port}/productpage`;
}

/** The usual one if it is free, else one that the kernel picks. */
export async function pagePort(): Promise<number> {
  return (await tryPort(preferredPort)) ?? (await tryPort(0)) ?? preferredPort;
}

/** Resolves when a browser would see the page. Throws `cli.demo-page` with what it would see instead. */
export async function requirePage(url: string, signal: AbortSignal): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  for (;;) {
    const problem = await pageProblem(url);
    if (problem === undefined) return;
    if (signal.aborted || performance.now() > deadlineMs) {
      throw new AmbitError(`Bookinfo's page is not at ${url}: ${problem}`, {
        code: 'cli.demo-page',
        blame: 'internal',
      });
    }
    await sleep(pollMs, signal);
  }
}

async function pageProblem(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(pollMs * 25) });
    const text = await response.text();
    if (response.status === 200 && text.includes('The Comedy of Errors')) return undefined;
    return `${response.status} ${text.slice(0, 200)}`;
  } catch (error) {
    return messageOf(error);
  }
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined));
    });
  });
}
