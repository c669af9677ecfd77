/** Durations of Istio's resources: `1h30m`, `250ms`. */
import { goDurationNanos } from '../../api/schema/formats.ts';

/** Undefined where nothing is said, or nothing that can be read: admission has refused it. */
export function milliseconds(text: string | undefined): number | undefined {
  const nanos = text === undefined ? undefined : goDurationNanos(text);
  return nanos === undefined || nanos < 0n ? undefined : Number(nanos) / 1e6;
}
