/** SPDY/3.1 (draft 3) as streams into pods speak it: frames and header blocks, and one forwarded connection as a client opens it. */
export {
  controlFrame,
  dataHead,
  flagFin,
  FrameReader,
  frameBytes,
  frameType,
  resetReason,
  words,
  type FrameHandler,
} from './frames.ts';
export { HeaderReader, HeaderWriter, spdyError, type HeaderBlock } from './headers.ts';
export { openForwardedStream } from './forwarded-stream.ts';
export { openWebSocketTunnel, tunnelProtocol } from './web-socket-tunnel.ts';
