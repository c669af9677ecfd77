/** Sends one request of our HTTP/2 client to the URL it is given, and ends with the connection. Run by h2spec, once a test. */
import { connect } from 'node:tls';
import { HeaderList } from '../../src/http/header-list.ts';
import { createHttp2Client } from '../../src/http/h2/index.ts';
import type { ClientConnection, ClientExchange } from '../../src/http/message.ts';
import { dial } from '../../src/net/dial.ts';
import { tcpChannel } from '../../src/net/tcp-channel.ts';
import { tlsChannel } from '../../src/net/tls-channel.ts';
import type { ByteChannel } from '../../src/net/channel.ts';

/** h2spec waits 3 s for this process; its server ends tests that went well with GOAWAY and an end 1 s later. */
const longestMs = 2_500;

const url = new URL(process.argv[2] ?? '');
const socket = await dial({ host: url.hostname, port: Number(url.port), timeoutMs: 1_000 });
const client = createHttp2Client(url.protocol === 'https:' ? await secure() : tcpChannel(socket), {
  listener: {
    onChange: () => send(),
    onClose: () => process.exit(0),
  },
});
setTimeout(() => process.exit(0), longestMs);
let sent = false;

function send(): void {
  if (sent || !client.canOpen) return;
  sent = true;
  const exchange = request(client, () => exchange);
}

function request(connection: ClientConnection, exchange: () => ClientExchange): ClientExchange {
  const head = {
    method: 'GET',
    scheme: url.protocol === 'https:' ? ('https' as const) : ('http' as const),
    authority: url.host,
    path: url.pathname,
    headers: new HeaderList(),
    version: 'http/2' as const,
  };
  return connection.request(head, true, {
    onInformational() {},
    onResponse() {},
    onData: (bytes) => exchange().credit(bytes.length),
    onEnd() {},
    onDrain() {},
    onClose() {},
  });
}

function secure(): Promise<ByteChannel> {
  const tls = connect({ socket, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  return new Promise((resolve) => tls.once('secureConnect', () => resolve(tlsChannel(tls))));
}
