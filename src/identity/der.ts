/** Writes the little DER that a certificate request needs (X.690). */

const tags = { boolean: 0x01, integer: 0x02, bitString: 0x03, octetString: 0x04, oid: 0x06, sequence: 0x30, set: 0x31 };

export function derSequence(...parts: readonly Uint8Array[]): Buffer {
  return der(tags.sequence, ...parts);
}

export function derSet(...parts: readonly Uint8Array[]): Buffer {
  return der(tags.set, ...parts);
}

export function derOctetString(content: Uint8Array): Buffer {
  return der(tags.octetString, content);
}

export function derBitString(content: Uint8Array): Buffer {
  return der(tags.bitString, Uint8Array.of(0), content);
}

export function derTrue(): Buffer {
  return der(tags.boolean, Uint8Array.of(0xff));
}

/** A small non-negative integer, up to 127. */
export function derInteger(value: number): Buffer {
  return der(tags.integer, Uint8Array.of(value));
}

/** A context-specific element: `[number]`. */
export function derContext(number: number, constructed: boolean, content: Uint8Array): Buffer {
  return der(0x80 | (constructed ? 0x20 : 0) | number, content);
}

/** Of the dotted form. */
export function derOid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = rest.flatMap((arc) => {
    const groups = [arc & 127];
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift((left & 127) | 128);
    return groups;
  });
  return der(tags.oid, Uint8Array.from([first * 40 + second, ...bytes]));
}

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Uint8Array.of(tag), lengthOf(content), content]);
}

function lengthOf({ length }: Uint8Array): Uint8Array {
  if (length < 128) return Uint8Array.of(length);
  const bytes: number[] = [];
  for (let left = length; left > 0; left >>>= 8) bytes.unshift(left & 255);
  return Uint8Array.from([128 | bytes.length, ...bytes]);
}
