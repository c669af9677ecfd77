/** Publishes a set of keys, by its address and by OpenID discovery; after a request to `/rotate` the next one. Arguments: PORT JWKS NEXT_JWKS. */
import { createServer } from 'node:http';

const [, , port = '0', first = '{"keys":[]}', next = first] = process.argv;
let keys = first;

createServer(({ url, headers }, response) => {
  response.setHeader('content-type', 'application/json');
  if (url === '/.well-known/openid-configuration') {
    const issuer = `http://${headers.host}`;
    response.end(JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` }));
  } else if (url === '/keys') response.end(keys);
  else if (url === '/rotate') response.end((keys = next));
  else response.writeHead(404).end('{}');
}).listen(Number(port), '::');
