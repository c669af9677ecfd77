/** Which bytes may stand where in a head (RFC 9110 section 5, RFC 9112 section 3), as tables by byte, and latin1 conversions. */

/** Of a token's characters, in lower case; 0: no token character. */
export const tokenFold: Uint8Array = new Uint8Array(256);
/** 1: may be in a field value (tab, space, visible, 0x80 and above). */
export const fieldByte: Uint8Array = new Uint8Array(256);

for (const character of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  tokenFold[character.charCodeAt(0)] = character.toLowerCase().charCodeAt(0);
}
for (let byte = 0x20; byte < 0x100; byte++) fieldByte[byte] = byte === 0x7f ? 0 : 1;
fieldByte[0x09] = 1;

export const tokenPattern: RegExp = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** What a field value may be, without white space around it. */
export const fieldValuePattern: RegExp = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;
/** Visible ASCII, and no fragment. */
export const targetPattern: RegExp = /^[\x21\x22\x24-\x7e]+$/;
/** Host and optional port (RFC 3986 section 3.2), without user information; a colon is followed by a port. */
export const authorityPattern: RegExp = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=%]+|\[[0-9A-Za-z:.%]+\])(?::[0-9]{1,5})?$/;

/** Not in Node's types; both take any view of bytes. */
interface Latin1Memory {
  readonly latin1Slice: { call(bytes: Uint8Array, start: number, end: number): string };
  readonly latin1Write: { call(bytes: Uint8Array, text: string, at: number): number };
}
const memory = Buffer.prototype as unknown as Latin1Memory;
const slice = memory.latin1Slice;
const write = memory.latin1Write;

export function latin1Text(bytes: Uint8Array, start: number, end: number): string {
  return slice.call(bytes, start, end);
}

/** Characters above 0xff lose their upper bits. Gives how many bytes fitted in. */
export function writeLatin1(text: string, into: Uint8Array, at: number): number {
  return write.call(into, text, at);
}
