/** What is spoken on a port of a Service, as its declaration and its name say (ambient-l7, 15.1). Pure. */
import type { L7Protocol } from '../../api/l7/index.ts';

/** `udp`: not for us. */
export type PortProtocol = L7Protocol | 'udp';

export interface DeclaredPort {
  readonly port: number;
  readonly name?: string | undefined;
  /** `appProtocol` of a Service, `protocol` of a ServiceEntry: in place of the name. */
  readonly appProtocol?: string | undefined;
}

const declared: Readonly<Record<string, PortProtocol>> = {
  'kubernetes.io/h2c': 'http2',
  'kubernetes.io/ws': 'http',
  'kubernetes.io/wss': 'tls',
};

const byName: Readonly<Record<string, PortProtocol>> = {
  http: 'http',
  http_proxy: 'http',
  http2: 'http2',
  h2c: 'http2',
  grpc: 'grpc',
  https: 'tls',
  tls: 'tls',
  tcp: 'tcp',
  mongo: 'tcp',
  mysql: 'tcp',
  redis: 'tcp',
  udp: 'udp',
};

/** Where the server speaks first, so that nothing can be sniffed: SMTP, DNS, MySQL, MongoDB. */
const serverFirst: ReadonlySet<number> = new Set([25, 53, 3306, 27017]);

export function portProtocol({ port, name = '', appProtocol }: DeclaredPort): PortProtocol {
  const text = (appProtocol || name).toLowerCase();
  const known = declared[text];
  if (known) return known;
  if (text.startsWith('grpc-web')) return 'grpc-web';
  return byName[text.split('-', 1)[0] ?? ''] ?? (serverFirst.has(port) ? 'tcp' : 'auto');
}

/** Whether requests are looked at. */
export function maySpeakHttp(protocol: L7Protocol): boolean {
  return protocol !== 'tcp' && protocol !== 'tls';
}
