/**
 * Sends HTTP requests to URL over CLIENTS connections that are kept, and over one that is new each time, one request after another on
 * each, until its standard input ends. Then prints one JSON line: how many were answered with 200, what others came to, and the servers' names.
 */
import { Agent, request } from 'node:http';

const [, , url = '', clients = '4', pauseMs = '5'] = process.argv;
const failures: Record<string, number> = {};
const servers: Record<string, number> = {};
let answered = 0;
let ending = false;

function send(agent: Agent | false, method: 'GET' | 'POST'): Promise<void> {
  return new Promise((resolve) => {
    const fail = (what: string): void => {
      failures[what] = (failures[what] ?? 0) + 1;
      resolve();
    };
    const sent = request(url, { agent, method }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('error', (error: NodeJS.ErrnoException) => fail(`${method} body ${error.code ?? error.message}`));
      response.on('end', () => {
        if (response.statusCode !== 200) return fail(`${method} ${response.statusCode} ${text.slice(0, 200)}`);
        answered++;
        const name = String(response.headers['x-app'] ?? '');
        servers[name] = (servers[name] ?? 0) + 1;
        resolve();
      });
    });
    sent.setTimeout(20_000, () => sent.destroy(new Error('timeout')));
    sent.on('error', (error: NodeJS.ErrnoException) => fail(`${method} ${error.code ?? error.message}`));
    sent.end(method === 'POST' ? 'x'.repeat(1000) : undefined);
  });
}

async function run(agent: Agent | false): Promise<void> {
  for (let number = 0; !ending; number++) {
    await send(agent, number % 2 === 0 ? 'GET' : 'POST');
    await new Promise((resolve) => setTimeout(resolve, Number(pauseMs)));
  }
}

const kept = Array.from({ length: Number(clients) }, () => run(new Agent({ keepAlive: true, maxSockets: 1 })));
process.stdin.resume().on('end', () => (ending = true));
await Promise.all([...kept, run(false)]);
console.log(JSON.stringify({ answered, failures, servers }));
process.exit(0);
