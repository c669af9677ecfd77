/**
 * An application that speaks TLS itself: HTTPS that tells, as JSON, which server name was asked for and what came.
 * Arguments: PORT, and in base64 the PEM of its certificate and of its key.
 */
import { createServer } from 'node:https';
import { TLSSocket } from 'node:tls';

const [, , port = '0', certificate = '', key = ''] = process.argv;
const pem = (text: string): string => Buffer.from(text, 'base64').toString();

const server = createServer({ cert: pem(certificate), key: pem(key) }, (request, response) => {
  const { socket, url, headers } = request;
  const servername = socket instanceof TLSSocket ? socket.servername : undefined;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ version: 'tls', servername, url, host: headers.host }));
});
server.listen(Number(port), '::');
