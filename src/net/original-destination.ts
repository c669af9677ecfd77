/** Where a redirected connection wanted to go, before the in-pod rules turned it to our listener. */
import type { Socket } from 'node:net';
import { decodeSocketAddress, type Endpoint } from './address.ts';
import { descriptorOf } from './socket-handle.ts';
import { getOption, linux } from './sys.ts';

/**
 * The destination before NAT (SO_ORIGINAL_DST), canonical; undefined when the connection was not redirected, or is gone.
 * Ask in the connection handler: the conntrack entry may not outlive the connection.
 */
export function originalDestination(socket: Socket): Endpoint | undefined {
  const fd = descriptorOf(socket);
  if (fd === undefined) return undefined;
  // IPv4 also answers for IPv4-mapped peers of a dual-stack listener.
  const v4 = getOption(fd, linux.SOL_IP, linux.SO_ORIGINAL_DST, 16);
  if (v4) return decodeSocketAddress(v4);
  const v6 = getOption(fd, linux.SOL_IPV6, linux.SO_ORIGINAL_DST, 28);
  return v6 ? decodeSocketAddress(v6) : undefined;
}
