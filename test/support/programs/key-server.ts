/** Publishes a set of keys, by its address and by OpenID discovery. Arguments: PORT JWKS. */
import { createServer } from 'node:http';

const [, , port = '0', keys = '{"keys":[]}'] = process.argv;

createServer(({ url, headers }, response) => {
  response.setHeader('content-type', 'application/json');
  if (url === '/.well-known/openid-configuration') {
    const issuer = `http://${headers.host}`;
    response.end(JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` }));
  } else if (url === '/keys') response.end(keys);
  else response.writeHead(404).end('{}');
}).listen(Number(port), '::');
