/** Sends one request of our HTTP/2 client to a URL, and ends with the connection: what h2spec tests. */
import { HeaderList } from '../../src/http/header-list.ts';
import { createHttp2Client } from '../../src/http/h2/index.ts';
import type { ClientConnection, ClientExchange } from '../../src/http/message.ts';
import { dial } from '../../src/net/dial.ts';
import { tcpChannel } from '../../src/net/tcp-channel.ts';

/** h2spec waits 3 s; its server ends tests that went well with GOAWAY, and the connection 1 s later. */
const longestMs = 2_500;

/** Resolves when the connection is over. */
export async function requestOnce(url: URL): Promise<void> {
  const socket = await dial({ host: url.hostname, port: Number(url.port), timeoutMs: 1_000 });
  let isSent = false;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => client.close(), longestMs);
    const client: ClientConnection = createHttp2Client(tcpChannel(socket), {
      listener: {
        onChange() {
          if (isSent || !client.canOpen) return;
          isSent = true;
          send(client, url);
        },
        onClose() {
          clearTimeout(timer);
          resolve();
        },
      },
    });
  });
}

function send(client: ClientConnection, url: URL): void {
  const head = {
    method: 'GET',
    scheme: 'http' as const,
    authority: url.host,
    path: url.pathname,
    headers: new HeaderList(),
    version: 'http/2' as const,
  };
  const exchange: ClientExchange = client.request(head, true, {
    onInformational() {},
    onResponse() {},
    onData: (bytes) => exchange.credit(bytes.length),
    onEnd() {},
    onDrain() {},
    onClose() {},
  });
}
