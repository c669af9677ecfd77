/** Ages as kubectl shows them (`k8s.io/apimachinery/pkg/util/duration.HumanDuration`). */

/** `45s`, `5m30s`, `47h`, `3d2h`, `2y40d`. */
export function humanDuration(durationMs: number): string {
  const seconds = Math.trunc(durationMs / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes < 10) return withRest(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.trunc(minutes / 60);
  if (hours < 8) return withRest(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  const days = Math.trunc(hours / 24);
  if (hours < 24 * 8) return withRest(days, 'd', hours % 24, 'h');
  if (days < 365 * 2) return `${days}d`;
  const years = Math.trunc(days / 365);
  return years < 8 ? withRest(years, 'y', days % 365, 'd') : `${years}y`;
}

/** Time since an RFC 3339 timestamp; `<unknown>` without one. */
export function ageSince(timestamp: string | null | undefined, nowMs: number): string {
  const startMs = timestamp ? Date.parse(timestamp) : NaN;
  return Number.isNaN(startMs) ? '<unknown>' : humanDuration(nowMs - startMs);
}

function withRest(whole: number, unit: string, rest: number, restUnit: string): string {
  return rest === 0 ? `${whole}${unit}` : `${whole}${unit}${rest}${restUnit}`;
}
