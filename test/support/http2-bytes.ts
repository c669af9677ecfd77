/** HTTP/2 as bytes, for requests that no client library agrees to send, and the frames of what comes back. */
import { connectionPreface, frameFlag, frameType } from '../../src/http/h2/constants.ts';
import { rawFrame } from '../../src/http/h2/raw-peer.ts';

/** Preface, empty SETTINGS and one request whose fields are exactly `fields`, in their order. */
export function http2Request(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  const block = Buffer.concat(fields.map(([name, value]) => literalField(name, value)));
  return Buffer.concat([
    connectionPreface,
    rawFrame(frameType.settings, 0, 0),
    rawFrame(frameType.headers, frameFlag.endHeaders, 1, block),
  ]);
}

export interface ReceivedFrame {
  readonly type: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export function framesOf(bytes: Buffer): ReceivedFrame[] {
  const frames: ReceivedFrame[] = [];
  for (let at = 0; at + 9 <= bytes.length;) {
    const end = at + 9 + bytes.readUIntBE(at, 3);
    if (end > bytes.length) break;
    frames.push({
      type: bytes.readUInt8(at + 3),
      streamId: bytes.readUInt32BE(at + 5),
      payload: bytes.subarray(at + 9, end),
    });
    at = end;
  }
  return frames;
}

/** Literal without indexing, new name, no Huffman (RFC 7541 section 6.2.2). Up to 126 bytes each. */
function literalField(name: string, value: string): Buffer {
  const text = (bytes: string): Buffer => Buffer.concat([Uint8Array.of(bytes.length), Buffer.from(bytes, 'latin1')]);
  return Buffer.concat([Uint8Array.of(0), text(name), text(value)]);
}
