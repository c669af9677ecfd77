/**
 * Calls `grpc-app.ts` and prints a line of JSON: a list of what came back. Arguments: HOST:PORT JSON, a list of
 * `{ say }` or `{ chat: [...] }`, each with `deadlineMs?` and `headers?`.
 */
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';

interface Call {
  readonly say?: string;
  readonly chat?: readonly string[];
  readonly deadlineMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Result {
  readonly values: string[];
  readonly code: number;
  readonly details: string;
  readonly trailers: Readonly<Record<string, unknown>>;
}

const [, , target = '', calls = '[]'] = process.argv;
const client = new Client(target, credentials.createInsecure());
const encode = (value: string): Buffer => Buffer.from(value);
const decode = (bytes: Buffer): string => bytes.toString();

function call({ say, chat, deadlineMs = 20_000, headers = {} }: Call): Promise<Result> {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  const options = { deadline: Date.now() + deadlineMs };
  return new Promise((resolve) => {
    if (say !== undefined) {
      client.makeUnaryRequest('/test.Echo/Say', encode, decode, say, metadata, options, (error, value) => {
        resolve({ values: value === undefined ? [] : [value], ...outcome(error) });
      });
      return;
    }
    const values: string[] = [];
    const stream = client.makeBidiStreamRequest('/test.Echo/Chat', encode, decode, metadata, options);
    stream.on('data', (value: string) => values.push(value));
    stream.on('status', (status: { code: number; details: string; metadata: Metadata }) =>
      resolve({ values, code: status.code, details: status.details, trailers: status.metadata.getMap() }),
    );
    stream.on('error', () => {});
    for (const value of chat ?? []) stream.write(value);
    stream.end();
  });
}

function outcome(error: ServiceError | null): Pick<Result, 'code' | 'details' | 'trailers'> {
  return { code: error?.code ?? 0, details: error?.details ?? '', trailers: error?.metadata.getMap() ?? {} };
}

const results: Result[] = [];
for (const each of JSON.parse(calls) as Call[]) results.push(await call(each));
process.stdout.write(`${JSON.stringify(results)}\n`, () => process.exit(0));
