/** Reads a TLS client's first message and puts it back, so that the server can be chosen before the handshake. */
import type { Socket } from 'node:net';
import { maxSniffBytes, sniffProtocol, type ClientHello } from '../../http/protocol-sniff.ts';

/** The socket is paused and nothing of it was read. Rejects when what comes is no TLS, or does not come. */
export function peekClientHello(socket: Socket, timeoutMs: number): Promise<ClientHello> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const timer = setTimeout(() => fail('the client said nothing'), timeoutMs);
    const settle = (): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('end', onEnd).off('close', onEnd);
      socket.pause();
    };
    const fail = (reason: string): void => {
      settle();
      reject(new Error(reason));
    };
    const onEnd = (): void => fail('the client hung up before the TLS handshake');
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      const bytes = chunks.length === 1 ? chunk : Buffer.concat(chunks);
      const found = sniffProtocol(bytes);
      if (found === 'need-more' && bytes.length < maxSniffBytes) return;
      if (found === 'need-more' || found.kind !== 'tls') return fail('the client does not speak TLS');
      settle();
      socket.unshift(bytes);
      resolve(found);
    };
    socket.on('data', onData).on('end', onEnd).on('close', onEnd);
    socket.resume();
  });
}
