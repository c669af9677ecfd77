/** SETTINGS: what we announce and what the peer announced (RFC 9113 section 6.5). */
import {
  defaultMaxFrameSize,
  defaultWindowSize,
  errorCode,
  largestMaxFrameSize,
  largestWindowSize,
  settingId,
} from './constants.ts';
import { connectionError } from './errors.ts';
import type { Http2Limits, Http2Role } from './limits.ts';

export interface PeerSettings {
  headerTableSize: number;
  maxConcurrentStreams: number;
  initialWindowSize: number;
  maxFrameSize: number;
  maxHeaderListSize: number;
  /** The server takes extended CONNECT (RFC 8441). */
  extendedConnect: boolean;
}

/** What holds until the peer's SETTINGS arrive. */
export function initialPeerSettings(): PeerSettings {
  return {
    headerTableSize: 4096,
    maxConcurrentStreams: Number.POSITIVE_INFINITY,
    initialWindowSize: defaultWindowSize,
    maxFrameSize: defaultMaxFrameSize,
    maxHeaderListSize: Number.POSITIVE_INFINITY,
    extendedConnect: false,
  };
}

/** Applies the payload `source[start, end)` to `settings`. Throws connection errors. */
export function applySettings(
  settings: PeerSettings,
  source: Uint8Array,
  start: number,
  end: number,
  from: Http2Role,
): void {
  const view = new DataView(source.buffer, source.byteOffset + start, end - start);
  for (let at = 0; at + 6 <= view.byteLength; at += 6) {
    const value = view.getUint32(at + 2);
    switch (view.getUint16(at)) {
      case settingId.headerTableSize:
        settings.headerTableSize = value;
        break;
      case settingId.enablePush:
        if (value > 1 || (value === 1 && from === 'server')) throw invalid('SETTINGS_ENABLE_PUSH', value);
        break;
      case settingId.maxConcurrentStreams:
        settings.maxConcurrentStreams = value;
        break;
      case settingId.initialWindowSize:
        if (value > largestWindowSize) throw invalid('SETTINGS_INITIAL_WINDOW_SIZE', value, errorCode.flowControlError);
        settings.initialWindowSize = value;
        break;
      case settingId.maxFrameSize:
        if (value < defaultMaxFrameSize || value > largestMaxFrameSize) throw invalid('SETTINGS_MAX_FRAME_SIZE', value);
        settings.maxFrameSize = value;
        break;
      case settingId.maxHeaderListSize:
        settings.maxHeaderListSize = value;
        break;
      case settingId.enableConnectProtocol:
        // Once offered, it is not taken back (RFC 8441 section 3).
        if (value > 1 || (value === 0 && settings.extendedConnect)) {
          throw invalid('SETTINGS_ENABLE_CONNECT_PROTOCOL', value);
        }
        settings.extendedConnect = value === 1;
        break;
      default:
    }
  }
}

/** The payload of our first SETTINGS. */
export function encodeSettings(limits: Http2Limits, role: Http2Role): Uint8Array {
  const entries: [number, number][] = [
    [settingId.initialWindowSize, limits.initialStreamWindow],
    [settingId.maxHeaderListSize, limits.maxHeaderListSize],
  ];
  if (limits.maxFrameSize !== defaultMaxFrameSize) entries.push([settingId.maxFrameSize, limits.maxFrameSize]);
  if (limits.headerTableSize !== 4096) entries.push([settingId.headerTableSize, limits.headerTableSize]);
  if (role === 'client') entries.push([settingId.enablePush, 0]);
  else entries.push([settingId.maxConcurrentStreams, limits.maxConcurrentStreams]);
  if (role === 'server' && limits.extendedConnect) entries.push([settingId.enableConnectProtocol, 1]);
  const payload = new Uint8Array(entries.length * 6);
  const view = new DataView(payload.buffer);
  entries.forEach(([id, value], i) => {
    view.setUint16(i * 6, id);
    view.setUint32(i * 6 + 2, value);
  });
  return payload;
}

function invalid(name: string, value: number, wireCode: number = errorCode.protocolError): Error {
  return connectionError(wireCode, `Peer sent ${name} ${value}, which is out of range`);
}
