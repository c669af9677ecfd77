/** Huffman code of HPACK (RFC 7541 appendix B), built from its code lengths: the code is canonical. */
import { latin1Text } from '../h1/characters.ts';
import { connectionError } from './errors.ts';
import { errorCode } from './constants.ts';

/** The code length of each symbol 0 to 255 and of EOS, one base-36 digit each. */
const codeLengths =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca' +
  'd67777777777777777777777878djde6f56565666577666567655677777fbeds' +
  'kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn' +
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq' +
  'u';
const eos = 256;

const lengths = Uint8Array.from(codeLengths, (digit) => parseInt(digit, 36));
const codes = assignCodes();

/**
 * The decoder as a machine over half bytes: 16 transitions a state, packed as
 * next state | 0x100 emits | 0x200 is a valid end | symbol << 16; 0xffffffff fails.
 */
const failed = 0xffff_ffff;
const emits = 0x100;
const mayEnd = 0x200;
const transitions = buildTransitions();

/** Bytes that `text` (latin1) takes when Huffman coded. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += lengths[text.charCodeAt(i) & 0xff] as number;
  return (bits + 7) >>> 3;
}

/** Writes `text` (latin1) Huffman coded at `at`; returns the offset behind it. There is room for `huffmanLength`. */
export function huffmanEncode(text: string, target: Uint8Array, at: number): number {
  let pending = 0;
  let pendingBits = 0;
  let out = at;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    let left = lengths[symbol] as number;
    const code = codes[symbol] as number;
    while (left > 0) {
      const take = Math.min(left, 8 - pendingBits);
      pending = (pending << take) | ((code >>> (left - take)) & ((1 << take) - 1));
      pendingBits += take;
      left -= take;
      if (pendingBits === 8) {
        target[out++] = pending;
        pending = 0;
        pendingBits = 0;
      }
    }
  }
  if (pendingBits > 0) target[out++] = (pending << (8 - pendingBits)) | (0xff >>> pendingBits);
  return out;
}

let scratch = Buffer.allocUnsafeSlow(4096);

/** The latin1 text of Huffman coded bytes `start` to `end`. Throws `h2.compression-error` on EOS or bad padding. */
export function huffmanDecode(source: Uint8Array, start: number, end: number): string {
  // The shortest code has 5 bits.
  const most = Math.ceil(((end - start) * 8) / 5);
  if (scratch.length < most) scratch = Buffer.allocUnsafeSlow(most * 2);
  let state = 0;
  let flags = mayEnd;
  let out = 0;
  for (let i = start; i < end; i++) {
    const byte = source[i] as number;
    for (let shift = 4; shift >= 0; shift -= 4) {
      const transition = transitions[state * 16 + ((byte >>> shift) & 0xf)] as number;
      if (transition === failed) {
        throw connectionError(errorCode.compressionError, 'Cannot decode header: Huffman string holds EOS');
      }
      state = transition & 0xff;
      flags = transition;
      if ((transition & emits) !== 0) scratch[out++] = transition >>> 16;
    }
  }
  if ((flags & mayEnd) === 0) {
    throw connectionError(errorCode.compressionError, 'Cannot decode header: Huffman string has bad padding');
  }
  return latin1Text(scratch, 0, out);
}

function assignCodes(): Uint32Array {
  const assigned = new Uint32Array(257);
  let code = 0;
  for (let length = 5; length <= 30; length++) {
    for (let symbol = 0; symbol <= eos; symbol++) if (lengths[symbol] === length) assigned[symbol] = code++;
    code <<= 1;
  }
  return assigned;
}

function buildTransitions(): Uint32Array {
  interface Node {
    readonly children: [Node | undefined, Node | undefined];
    symbol: number;
    state: number;
    /** On the path of EOS within 7 bits of the root: bits so far may be padding. */
    padding: boolean;
  }
  const createNode = (): Node => ({ children: [undefined, undefined], symbol: -1, state: -1, padding: false });
  const root = createNode();
  for (let symbol = 0; symbol <= eos; symbol++) {
    let node = root;
    for (let bit = (lengths[symbol] as number) - 1; bit >= 0; bit--) {
      const side = (((codes[symbol] as number) >>> bit) & 1) as 0 | 1;
      node = node.children[side] ??= createNode();
    }
    node.symbol = symbol;
  }
  const states: Node[] = [];
  const number = (node: Node | undefined): void => {
    if (!node || node.symbol >= 0) return;
    node.state = states.push(node) - 1;
    number(node.children[0]);
    number(node.children[1]);
  };
  number(root);
  for (let depth = 0, node: Node | undefined = root; depth < 8 && node; depth++, node = node.children[1]) {
    node.padding = true;
  }
  const table = new Uint32Array(states.length * 16);
  for (const from of states) {
    for (let nibble = 0; nibble < 16; nibble++) {
      let node = from;
      let packed = 0;
      for (let bit = 3; bit >= 0 && packed !== failed; bit--) {
        const next = node.children[((nibble >>> bit) & 1) as 0 | 1] as Node;
        if (next.symbol === eos) packed = failed;
        else if (next.symbol >= 0) packed = (emits | (next.symbol << 16)) >>> 0;
        node = next.symbol >= 0 ? root : next;
      }
      if (packed !== failed) packed = (packed | node.state | (node.padding ? mayEnd : 0)) >>> 0;
      table[from.state * 16 + nibble] = packed;
    }
  }
  return table;
}
