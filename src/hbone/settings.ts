/** What an HBONE session allows its peer beyond what HTTP/2 does by itself. */
import type { Http2Limits } from '../http/h2/index.ts';

/** Bulk data in few frames: a frame of the usual 16 KiB and its header never fit the TLS record that carries them. Upstream allows 1 MiB. */
const maxFrameSize = 256 * 1024;

export function hboneLimits(changes: Partial<Http2Limits> | undefined): Partial<Http2Limits> {
  return { maxFrameSize, ...changes };
}
