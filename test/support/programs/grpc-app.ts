/**
 * A gRPC application for tests of proxies, with texts for messages. Arguments: PORT VERSION.
 *
 * `/test.Echo/Say` echoes; a message `fail N` ends with status N; `/test.Echo/Chat` echoes a stream, message by message, and ends
 * with the trailer `x-count`.
 */
import { Metadata, Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';

const [, , port = '0', version = 'v1'] = process.argv;
const text = {
  requestSerialize: (value: string) => Buffer.from(value),
  requestDeserialize: (bytes: Buffer) => bytes.toString(),
  responseSerialize: (value: string) => Buffer.from(value),
  responseDeserialize: (bytes: Buffer) => bytes.toString(),
};
const service: ServiceDefinition = {
  Say: { path: '/test.Echo/Say', requestStream: false, responseStream: false, ...text },
  Chat: { path: '/test.Echo/Chat', requestStream: true, responseStream: true, ...text },
};

const server = new Server();
server.addService(service, {
  Say(
    call: { request: string },
    answer: (error: { code: number; details: string } | null, value?: string) => void,
  ): void {
    const failure = /^fail (\d+)$/.exec(call.request);
    if (failure) answer({ code: Number(failure[1]), details: `asked to, by ${version}` });
    else answer(null, `${version}:${call.request}`);
  },
  Chat(call: NodeJS.EventEmitter & { write(value: string): void; end(trailers: Metadata): void }): void {
    let count = 0;
    call.on('data', (value: string) => {
      count++;
      call.write(`${version}:${value}`);
    });
    call.on('end', () => {
      const trailers = new Metadata();
      trailers.set('x-count', String(count));
      call.end(trailers);
    });
  },
} as never);
server.bindAsync(`[::]:${port}`, ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
});
