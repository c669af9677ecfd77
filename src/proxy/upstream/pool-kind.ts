/** What tells connections to one host apart: the version of HTTP, the name that TLS asks for, whose they are. */
import type { Backend } from '../../api/l7/index.ts';
import type { RequestHead } from '../../http/message.ts';
import { formatHostPort, tryParseIp } from '../../lib/ip.ts';
import type { UpstreamClient } from './upstream.ts';

export interface HostPoolKind {
  readonly id: string;
  readonly protocol: 'http1' | 'http2';
  /** "": none. */
  readonly serverName: string;
  /** Whose connections they are; absent: they are shared. */
  readonly client: UpstreamClient | undefined;
}

export const plainHttp1: HostPoolKind = { id: 'http1', protocol: 'http1', serverName: '', client: undefined };
export const plainHttp2: HostPoolKind = { id: 'http2', protocol: 'http2', serverName: '', client: undefined };

/** Whether more than the version tells connections of the backend apart. */
export function splitsPools({ proxyProtocol, tls }: Backend): boolean {
  return proxyProtocol !== undefined || tls !== undefined;
}

export function poolKindOf(backend: Backend, head: RequestHead, client: UpstreamClient): HostPoolKind {
  const protocol = protocolOf(backend, head);
  const serverName = serverNameOf(backend, head.authority);
  // The header tells one client's address, so the connection is that client's alone.
  const owner = backend.proxyProtocol ? client : undefined;
  const id = `${protocol}|${serverName}|${owner ? formatHostPort(owner.address, owner.port) : ''}`;
  return { id, protocol, serverName, client: owner };
}

/** An upgrade is a matter of HTTP/1.1, whatever else the backend speaks. */
export function protocolOf({ protocol }: Backend, { version, upgrade }: RequestHead): 'http1' | 'http2' {
  if (upgrade !== undefined || protocol === 'http1') return 'http1';
  if (protocol === 'http2') return 'http2';
  return version === 'http/2' ? 'http2' : 'http1';
}

/** The name that TLS asks for: the configured one, else the request's host, unless it is an address. */
export function serverNameOf({ tls }: Backend, authority: string): string {
  if (!tls) return '';
  if (tls.sni !== undefined) return tls.sni;
  const host = authority.startsWith('[') ? '' : authority.replace(/:\d+$/, '').toLowerCase();
  return tryParseIp(host) ? '' : host;
}
