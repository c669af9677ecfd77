/** The number that the kernel gives a namespace's nftables rules at every change of them: a check for the price of one system call. */
import { withNetns } from './netns.ts';
import * as sys from './sys.ts';

const { linux } = sys;

const netlinkNetfilter = 12;
/** `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN`, and its answer. */
const getGeneration = 0x0a10;
const newGeneration = 0x0a0f;
const request = Uint8Array.of(
  20,
  0,
  0,
  0,
  getGeneration & 0xff,
  getGeneration >> 8,
  1,
  0,
  1,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
);

/** Undefined where the kernel does not tell (no nf_tables, or rules of iptables-legacy alone). */
export function nftGeneration(netns: number | undefined): number | undefined {
  const fd = withNetns(netns, () => sys.socket(linux.AF_NETLINK, linux.SOCK_RAW, netlinkNetfilter));
  try {
    sys.sendMessage(fd, request);
    const answer = new Uint8Array(512);
    // nfnetlink answers inside sendmsg.
    const length = sys.receive(fd, answer);
    const view = new DataView(answer.buffer);
    // struct nlmsghdr, struct nfgenmsg, then NFTA_GEN_ID first: a length, the type 1, four bytes in network order.
    if (length < 28 || view.getUint16(4, true) !== newGeneration || (view.getUint16(22, true) & 0x3fff) !== 1)
      return undefined;
    return view.getUint32(24);
  } catch {
    return undefined;
  } finally {
    sys.close(fd);
  }
}
