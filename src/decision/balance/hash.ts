/** The hash of load balancing: 32 bits, well mixed, the same in every proxy. Not for security. */

/** MurmurHash3 (x86, 32 bit) over the UTF-16 code units of `text`: any text, the same everywhere. */
export function hashText(text: string, seed = 0): number {
  let hash = seed | 0;
  const { length } = text;
  for (let i = 0; i + 1 < length; i += 2) {
    hash = mix(hash, text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16));
  }
  if ((length & 1) === 1) hash = mix(hash, text.charCodeAt(length - 1));
  return finish(hash ^ (length * 2));
}

/** Another hash of the same, for tables that need several. */
export function rehash(hash: number, salt: number): number {
  return finish(mix(hash, salt) ^ 4);
}

function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  const mixed = hash ^ Math.imul(k, 0x1b873593);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
