/** The rule and the route that bring answers to foreign addresses back to our transparent sockets (rtnetlink, 0.2 ms). */
import { withNetns } from './netns.ts';
import * as sys from './sys.ts';

const { linux } = sys;

export interface PolicyRoutingOptions {
  /** Packets with `mark` under `mask` look up `table`, where everything is local. */
  readonly mark: number;
  readonly mask: number;
  readonly table: number;
  readonly priority: number;
}

/** What netns-recipes section 3 uses with the in-pod rules; Istio's numbers. */
export const defaultPolicyRouting: PolicyRoutingOptions = { mark: 0x111, mask: 0xfff, table: 100, priority: 32764 };

const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;

/** `ip rule add fwmark ... lookup TABLE` and `ip route add local default dev lo table TABLE`, IPv4 and IPv6. Idempotent. */
export function addPolicyRouting(
  netns: number | undefined,
  options: PolicyRoutingOptions = defaultPolicyRouting,
): void {
  const create = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  talk(netns, (request) => {
    for (const family of [linux.AF_INET, linux.AF_INET6]) {
      // The route first: a rule into an empty table would fall through to the main one.
      request(family, message(RTM_NEWROUTE, create, routeBody(family, options)), ['EEXIST']);
      request(family, message(RTM_NEWRULE, create, ruleBody(family, options)), ['EEXIST']);
    }
  });
}

/** Takes both away again. Idempotent. */
export function removePolicyRouting(
  netns: number | undefined,
  options: PolicyRoutingOptions = defaultPolicyRouting,
): void {
  const remove = NLM_F_REQUEST | NLM_F_ACK;
  talk(netns, (request) => {
    for (const family of [linux.AF_INET, linux.AF_INET6]) {
      request(family, message(RTM_DELRULE, remove, ruleBody(family, options)), ['ENOENT', 'ESRCH']);
      request(family, message(RTM_DELROUTE, remove, routeBody(family, options)), ['ENOENT', 'ESRCH']);
    }
  });
}

/** What the kernel says where IPv6 is compiled out or switched off: then there is nothing to route. */
const noIpv6 = ['EAFNOSUPPORT', 'EOPNOTSUPP', 'ENODEV', 'EACCES', 'EINVAL', 'ENETDOWN'];

type Request = (family: number, request: Uint8Array, ignored: readonly string[]) => void;

function talk(netns: number | undefined, work: (request: Request) => void): void {
  const fd = withNetns(netns, () => sys.socket(linux.AF_NETLINK, linux.SOCK_RAW, 0));
  const answer = new Uint8Array(4096);
  try {
    work((family, request, ignored) => {
      sys.sendMessage(fd, request);
      // rtnetlink works inside sendmsg, so its answer is there already.
      sys.receive(fd, answer);
      const errno = -new DataView(answer.buffer).getInt32(16, true);
      if (errno === 0) return;
      const name = sys.errnoName(errno);
      if (ignored.includes(name) || (family === linux.AF_INET6 && noIpv6.includes(name))) return;
      throw new sys.SystemCallError('change policy routing', errno);
    });
  } finally {
    sys.close(fd);
  }
}

/** `struct nlmsghdr` before the body. */
function message(type: number, flags: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, 1, true);
  bytes.set(body, 16);
  return bytes;
}

/** `struct fib_rule_hdr`, then FRA_PRIORITY, FRA_FWMARK, FRA_TABLE, FRA_FWMASK. */
function ruleBody(family: number, { mark, mask, table, priority }: PolicyRoutingOptions): Uint8Array {
  const toTable = 1;
  return Uint8Array.from([
    ...fixedPart(family, table, 0, 0, toTable),
    ...attribute(6, priority),
    ...attribute(10, mark),
    ...attribute(15, table),
    ...attribute(16, mask),
  ]);
}

/** `struct rtmsg` of `local default`, then RTA_OIF (lo is always 1), RTA_TABLE. */
function routeBody(family: number, { table }: PolicyRoutingOptions): Uint8Array {
  const [bootProtocol, hostScope, localType, loopback] = [3, 254, 2, 1];
  return Uint8Array.from([
    ...fixedPart(family, table, bootProtocol, hostScope, localType),
    ...attribute(4, loopback),
    ...attribute(15, table),
  ]);
}

/** Both structs are alike: family, three lengths that stay 0, table, two bytes, action or type, flags. */
function fixedPart(family: number, table: number, sixth: number, seventh: number, eighth: number): number[] {
  return [family, 0, 0, 0, table, sixth, seventh, eighth, 0, 0, 0, 0];
}

function attribute(type: number, value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 8, true);
  view.setUint16(2, type, true);
  view.setUint32(4, value, true);
  return bytes;
}
