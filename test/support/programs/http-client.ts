/**
 * Sends requests one after another and prints a line of JSON: a list of what came back. Argument: JSON, a list of
 * `{ url, method?, headers?, body?, bodyBytes?, times?, atOnce?, upgrade? }`; with `upgrade`, that text is sent once the protocol was
 * switched.
 */
import { request, type IncomingMessage } from 'node:http';

interface Wanted {
  readonly url: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** So many letters instead of `body`. */
  readonly bodyBytes?: number;
  readonly times?: number;
  /** All of its times together. */
  readonly atOnce?: boolean;
  readonly upgrade?: string;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly error?: string;
}

function send({ url, method = 'GET', headers = {}, body, bodyBytes, upgrade }: Wanted): Promise<Answer> {
  return new Promise((resolve) => {
    const failed = (error: Error): void => resolve({ status: 0, headers: {}, body: '', error: error.message });
    const upgrading = upgrade === undefined ? {} : { connection: 'upgrade', upgrade: 'websocket' };
    const sent = request(url, { method, agent: false, headers: { ...upgrading, ...headers } }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
      response.on('error', failed);
    });
    sent.setTimeout(20_000, () => sent.destroy(new Error('timeout')));
    sent.on('error', failed);
    sent.on('upgrade', (response, socket, first) => {
      if (first.length > 0) socket.unshift(first);
      socket.write(upgrade ?? '');
      socket.once('data', (chunk: Buffer) => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: chunk.toString() });
        socket.destroy();
      });
    });
    sent.end(bodyBytes === undefined ? body : 'x'.repeat(bodyBytes));
  });
}

const answers: Answer[] = [];
for (const wanted of JSON.parse(process.argv[2] ?? '[]') as Wanted[]) {
  const { times = 1, atOnce = false } = wanted;
  if (atOnce) answers.push(...(await Promise.all(Array.from({ length: times }, () => send(wanted)))));
  else for (let i = 0; i < times; i++) answers.push(await send(wanted));
}
process.stdout.write(`${JSON.stringify(answers)}\n`, () => process.exit(0));
