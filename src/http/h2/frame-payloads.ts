/** Payloads of the frames of a fixed form: each function checks length and stream id, and throws connection errors. */
import { errorCode, frameFlag, largestStreamId, largestWindowSize } from './constants.ts';
import { connectionError } from './errors.ts';

/** A frame's payload is `source[start, end)`. */
export function readUint32(source: Uint8Array, at: number): number {
  return (
    (((source[at] as number) << 24) |
      ((source[at + 1] as number) << 16) |
      ((source[at + 2] as number) << 8) |
      (source[at + 3] as number)) >>>
    0
  );
}

/** RST_STREAM: the error code. */
export function readReset(streamId: number, source: Uint8Array, start: number, end: number): number {
  if (end - start !== 4) throw wrongLength('RST_STREAM');
  if (streamId === 0) throw connectionError(errorCode.protocolError, 'Peer sent RST_STREAM on stream 0');
  return readUint32(source, start);
}

/** WINDOW_UPDATE: the increment, which may be 0. */
export function readWindowUpdate(source: Uint8Array, start: number, end: number): number {
  if (end - start !== 4) throw wrongLength('WINDOW_UPDATE');
  return readUint32(source, start) & largestWindowSize;
}

/** GOAWAY. */
export function readGoaway(
  streamId: number,
  source: Uint8Array,
  start: number,
  end: number,
): { lastStreamId: number; wireCode: number } {
  if (streamId !== 0) throw onStream('GOAWAY');
  if (end - start < 8) throw wrongLength('GOAWAY');
  return { lastStreamId: readUint32(source, start) & largestStreamId, wireCode: readUint32(source, start + 4) };
}

export function checkPing(streamId: number, byteCount: number): void {
  if (streamId !== 0) throw onStream('PING');
  if (byteCount !== 8) throw wrongLength('PING');
}

export function checkSettings(streamId: number, flags: number, byteCount: number): void {
  if (streamId !== 0) throw onStream('SETTINGS');
  if ((flags & frameFlag.ack) !== 0 ? byteCount !== 0 : byteCount % 6 !== 0) throw wrongLength('SETTINGS');
}

/** PRIORITY, ignored but for its form (RFC 9113 section 5.3): the stream error that it makes, or undefined. */
export function priorityProblem(streamId: number, source: Uint8Array, start: number, end: number): number | undefined {
  if (streamId === 0) throw connectionError(errorCode.protocolError, 'Peer sent PRIORITY on stream 0');
  if (end - start !== 5) return errorCode.frameSizeError;
  const dependency = readUint32(source, start) & largestStreamId;
  return dependency === streamId ? errorCode.protocolError : undefined;
}

function wrongLength(frame: string): Error {
  return connectionError(errorCode.frameSizeError, `Peer sent ${frame} of a wrong length`);
}

function onStream(frame: string): Error {
  return connectionError(errorCode.protocolError, `Peer sent ${frame} on a stream`);
}
