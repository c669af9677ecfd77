/** Protocols of ports, in any case. */
import type { FieldView } from '../../field-view.ts';
import type { Findings } from '../validation.ts';

const http = ['HTTP', 'HTTP2', 'GRPC', 'GRPC-WEB', 'HTTP_PROXY'];
const tls = ['HTTPS', 'TLS'];
const supported = ['HTTP', 'HTTPS', 'HTTP2', 'GRPC', 'GRPC-WEB', 'MONGO', 'REDIS', 'MYSQL', 'TCP', 'TLS'];

export function isHttp(protocol: string | undefined): boolean {
  return http.includes(protocol?.toUpperCase() ?? '');
}

export function isTls(protocol: string | undefined): boolean {
  return tls.includes(protocol?.toUpperCase() ?? '');
}

/** TCP, or nothing said. */
export function isTcp(protocol: string | undefined): boolean {
  return !protocol || protocol.toUpperCase() === 'TCP';
}

export function checkProtocol(protocol: FieldView, found: Findings): void {
  const name = protocol.text?.toUpperCase();
  if (name && !supported.includes(name) && !isHttp(name)) {
    found.notSupported(protocol, supported);
  }
}
