/** Source addresses of outgoing connections. */
import { encodeSocketAddress } from './address.ts';
import * as sys from './sys.ts';

const { linux } = sys;

/** Binds an address and leaves the port to connect(), which picks one per destination: more than 28,000 connections fit. */
export function bindAnyPort(fd: number, ip: string, family: number): void {
  sys.setIntOption(fd, linux.SOL_SOCKET, linux.SO_REUSEADDR, 1);
  sys.setIntOption(fd, linux.SOL_IP, linux.IP_BIND_ADDRESS_NO_PORT, 1);
  sys.bind(fd, encodeSocketAddress(ip, 0, family), ip);
}

/**
 * Ports that we speak from under somebody else's address: none of Linux's default range (32768 to 60999), because from
 * those the real owner may be connected to the same application already, past us or through us. A second connection
 * with the same four numbers would take the answers of the first one (seen: a live connection stalled on enrolment).
 */
const portRanges: readonly (readonly [number, number])[] = [
  [10_240, 32_767],
  [61_000, 65_535],
];
const portCount = portRanges.reduce((count, [first, last]) => count + last - first + 1, 0);
const maxTries = 32;

let nextPort = Math.floor(Math.random() * portCount);

/** Binds an address that is not ours (IP_TRANSPARENT is set) and a port that its owner does not use. */
export function bindForeign(fd: number, ip: string, family: number): void {
  sys.setIntOption(fd, linux.SOL_SOCKET, linux.SO_REUSEADDR, 1);
  for (let tries = 1; ; tries++) {
    nextPort = (nextPort + 1) % portCount;
    try {
      sys.bind(fd, encodeSocketAddress(ip, portAt(nextPort), family), ip);
      return;
    } catch (error) {
      // A listener of the application may be on that port.
      const taken = error instanceof sys.SystemCallError && error.errno === linux.EADDRINUSE;
      if (!taken || tries >= maxTries) throw error;
    }
  }
}

function portAt(index: number): number {
  let rest = index;
  for (const [first, last] of portRanges) {
    if (rest <= last - first) return first + rest;
    rest -= last - first + 1;
  }
  throw new Error(`No port at ${index}`);
}
