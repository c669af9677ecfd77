/**
 * A collector of traces that keeps what it is sent, as it came. Arguments: HTTP-PORT GRPC-PORT.
 *
 * Takes spans by POST on any path, and by gRPC (OTLP); GET answers with all of them: `[{ "path", "body" }]`, bodies in base64.
 */
import { createServer } from 'node:http';
import { Server, ServerCredentials, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';

const [, , httpPort = '0', grpcPort = '0'] = process.argv;
const method = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
const taken: { readonly path: string; readonly body: string }[] = [];

createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (request.method === 'POST') {
      taken.push({ path: request.url ?? '', body: Buffer.concat(chunks).toString('base64') });
      response.writeHead(202).end();
    } else response.end(JSON.stringify(taken));
  });
}).listen(Number(httpPort), '::');

const bytes = { serialize: (value: Buffer): Buffer => value, deserialize: (value: Buffer): Buffer => value };
const server = new Server();
server.addService(
  {
    Export: {
      path: method,
      requestStream: false,
      responseStream: false,
      requestSerialize: bytes.serialize,
      requestDeserialize: bytes.deserialize,
      responseSerialize: bytes.serialize,
      responseDeserialize: bytes.deserialize,
    },
  },
  {
    Export(call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) {
      taken.push({ path: method, body: call.request.toString('base64') });
      answer(null, Buffer.alloc(0));
    },
  },
);
server.bindAsync(`[::]:${grpcPort}`, ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
});
