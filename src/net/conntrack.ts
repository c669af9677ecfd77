/** Deletes entries of the kernel's connection table by netlink (linux/netfilter/nfnetlink_conntrack.h). */
import { formatIp } from '../lib/ip.ts';
import * as sys from './sys.ts';

const NETLINK_NETFILTER = 12;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_DUMP = 0x300;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
/** NFNL_SUBSYS_CTNETLINK in the upper byte. */
const CT_GET = 0x101;
const CT_DELETE = 0x102;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const typeMask = 0x3fff;
const udp = 17;

interface Flow {
  readonly family: number;
  /** The attribute CTA_TUPLE_ORIG as the kernel gave it: names the entry. */
  readonly original: Uint8Array;
  readonly protocol: number;
  readonly originalDestination: string;
  /** `ADDRESS PORT` of who answers. */
  readonly answeredBy: string;
}

/**
 * Deletes the UDP flows of the caller's network namespace that were rewritten to one of `targets` (`ADDRESS PORT`), so that
 * the next packet of each is routed anew. Blocks for as long as the kernel lists the table. Throws `net.<errno>`.
 */
export function deleteUdpFlows(targets: ReadonlySet<string>): number {
  const { AF_INET, AF_INET6, AF_NETLINK, SOCK_RAW } = sys.linux;
  const fd = sys.socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
  try {
    const flows = [AF_INET, AF_INET6]
      .flatMap((family) => listFlows(fd, family))
      .filter((flow) => flow.protocol === udp && targets.has(flow.answeredBy))
      .filter((flow) => flow.originalDestination !== flow.answeredBy);
    for (const { family, original } of flows) {
      sys.sendMessage(fd, message(CT_DELETE, NLM_F_REQUEST | NLM_F_ACK, family, original));
      sys.receive(fd, new Uint8Array(4096));
    }
    return flows.length;
  } finally {
    sys.close(fd);
  }
}

function listFlows(fd: number, family: number): Flow[] {
  sys.sendMessage(fd, message(CT_GET, NLM_F_REQUEST | NLM_F_DUMP, family, new Uint8Array(0)));
  const flows: Flow[] = [];
  const buffer = new Uint8Array(64 * 1024);
  for (;;) {
    const length = sys.receive(fd, buffer);
    const view = new DataView(buffer.buffer, 0, length);
    for (let at = 0; at + 16 <= length;) {
      const size = view.getUint32(at, true);
      const type = view.getUint16(at + 4, true);
      if (type === NLMSG_DONE || size < 16) return flows;
      if (type === NLMSG_ERROR) {
        const errno = -view.getInt32(at + 16, true);
        if (errno !== 0) throw new sys.SystemCallError('list connections', errno);
      } else {
        const flow = parseFlow(buffer.subarray(at + 20, at + size), family);
        if (flow) flows.push(flow);
      }
      at += (size + 3) & ~3;
    }
  }
}

function parseFlow(body: Uint8Array, family: number): Flow | undefined {
  const attributes = readAttributes(body);
  const original = attributes.get(CTA_TUPLE_ORIG);
  const reply = attributes.get(CTA_TUPLE_REPLY);
  if (!original || !reply) return undefined;
  const asked = readTuple(original.value);
  const answering = readTuple(reply.value);
  return {
    family,
    original: Uint8Array.from(original.whole),
    protocol: asked.protocol,
    originalDestination: asked.destination,
    answeredBy: answering.source,
  };
}

function readTuple(bytes: Uint8Array): { protocol: number; source: string; destination: string } {
  const tuple = readAttributes(bytes);
  const ips = readAttributes(tuple.get(1)?.value ?? new Uint8Array(0));
  const ports = readAttributes(tuple.get(2)?.value ?? new Uint8Array(0));
  const ip = (v4: number, v6: number): string => {
    const found = (ips.get(v4) ?? ips.get(v6))?.value;
    return found ? formatIp(found) : '';
  };
  const port = (type: number): number => {
    const found = ports.get(type)?.value;
    return found && found.length >= 2 ? ((found[0] ?? 0) << 8) | (found[1] ?? 0) : 0;
  };
  return {
    protocol: ports.get(1)?.value[0] ?? 0,
    source: `${ip(1, 3)} ${port(2)}`,
    destination: `${ip(2, 4)} ${port(3)}`,
  };
}

function readAttributes(bytes: Uint8Array): Map<number, { value: Uint8Array; whole: Uint8Array }> {
  const found = new Map<number, { value: Uint8Array; whole: Uint8Array }>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 4 <= bytes.length;) {
    const size = view.getUint16(at, true);
    if (size < 4 || at + size > bytes.length) break;
    const padded = Math.min((size + 3) & ~3, bytes.length - at);
    found.set(view.getUint16(at + 2, true) & typeMask, {
      value: bytes.subarray(at + 4, at + size),
      whole: bytes.subarray(at, at + padded),
    });
    at += padded;
  }
  return found;
}

/** `struct nlmsghdr` and `struct nfgenmsg` before the attributes. */
function message(type: number, flags: number, family: number, attributes: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(20 + attributes.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, 1, true);
  bytes[16] = family;
  bytes.set(attributes, 20);
  return bytes;
}
