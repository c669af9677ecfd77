/**
 * `node:http` for processes that stay small. An `import` of it reads every export, and so loads what those make on demand:
 * undici, node:http2, node:zlib. That is 15 MB of RSS, 7 MB of them private, for nothing.
 */
import type * as Http from 'node:http';

const http: typeof Http = process.getBuiltinModule('node:http');

export const createServer: typeof Http.createServer = http.createServer;
