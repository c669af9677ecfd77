/**
 * Sends requests over TLS one after another and prints a line of JSON: what came back of each, and whose certificate was shown.
 * Argument: JSON, a list of `{ host, port, servername, path?, ca?, cert?, key? }`.
 */
import { request } from 'node:https';
import { TLSSocket } from 'node:tls';

interface Wanted {
  readonly host: string;
  readonly port: number;
  readonly servername: string;
  readonly path?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  /** Serial number of the server's certificate. */
  readonly serial?: string;
  readonly error?: string;
}

function send({ path = '/', ...wanted }: Wanted): Promise<Answer> {
  return new Promise((resolve) => {
    const headers = { host: wanted.servername };
    const sent = request({ ...wanted, path, headers, agent: false }, (response) => {
      let body = '';
      const { socket } = response;
      const serial = socket instanceof TLSSocket ? socket.getPeerCertificate().serialNumber : '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body, serial }));
    });
    sent.setTimeout(20_000, () => sent.destroy(new Error('timeout')));
    sent.on('error', (error) => resolve({ status: 0, body: '', error: error.message }));
    sent.end();
  });
}

const answers: Answer[] = [];
for (const wanted of JSON.parse(process.argv[2] ?? '[]') as Wanted[]) answers.push(await send(wanted));
console.log(JSON.stringify(answers));
process.exit(0);
