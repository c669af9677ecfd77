/** Writes metrics in the two formats that Prometheus reads: OpenMetrics 1.0 and its older text format 0.0.4. */
import { valueCount, valuesPerSeries, type GroupSnapshot, type MetricInfo, type MetricsSnapshot } from './snapshot.ts';

export type ExpositionFormat = 'openmetrics' | 'text';

export const expositionContentType: Record<ExpositionFormat, string> = {
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  text: 'text/plain; version=0.0.4; charset=utf-8',
};

/** The format that an `Accept` header likes best (RFC 9110 section 12.5.1); the older one where it does not say. */
export function negotiateFormat(accept: string | undefined): ExpositionFormat {
  const best = { openmetrics: 0, text: 0 };
  for (const range of (accept ?? '').split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    const quality = q === undefined ? 1 : Number(q.slice(2)) || 0;
    if (type === 'application/openmetrics-text') best.openmetrics = Math.max(best.openmetrics, quality);
    if (type === 'text/plain') best.text = Math.max(best.text, quality);
  }
  return best.openmetrics > 0 && best.openmetrics >= best.text ? 'openmetrics' : 'text';
}

/** About this much text comes at once: the process has other things to do in between. */
const pieceLength = 64 * 1024;

/** The exposition in pieces: with many series it is long, and who writes it lets others run after each. */
export function* writeSnapshot(snapshot: MetricsSnapshot, format: ExpositionFormat): Generator<string> {
  let piece = '';
  for (const group of snapshot) {
    const width = valuesPerSeries(group.metrics);
    let column = 0;
    for (const info of group.metrics) {
      let isHeadWritten = false;
      for (let i = 0; i < group.labels.length; i++) {
        if (isUntouched(group, info, i * width + column)) continue;
        if (!isHeadWritten) {
          piece += head(info, format);
          isHeadWritten = true;
        }
        piece += samples(group, info, { index: i, at: i * width + column });
        if (piece.length >= pieceLength) {
          yield piece;
          piece = '';
        }
      }
      column += valueCount(info);
    }
  }
  if (format === 'openmetrics') piece += '# EOF\n';
  if (piece !== '') yield piece;
}

/** A series has a line in a metric once it counted something there; a gauge may be 0 again. */
function isUntouched(group: GroupSnapshot, info: MetricInfo, at: number): boolean {
  if (info.kind === 'gauge') return false;
  for (let i = at; i < at + valueCount(info); i++) if (group.values[i] !== 0) return false;
  return true;
}

function samples(group: GroupSnapshot, info: MetricInfo, series: { index: number; at: number }): string {
  const labels = group.labels[series.index] ?? '';
  if (info.buckets === undefined) {
    const name = info.kind === 'counter' ? `${info.name}_total` : info.name;
    return `${name}${labels} ${number(group.values[series.at])}\n`;
  }
  let text = '';
  let count = 0;
  for (const [i, bound] of [...info.buckets, Infinity].entries()) {
    count += group.values[series.at + i] ?? 0;
    text += `${info.name}_bucket${withLabel(labels, `le="${bound === Infinity ? '+Inf' : bound}"`)} ${count}\n`;
  }
  const sum = group.values[series.at + info.buckets.length + 1];
  return `${text}${info.name}_sum${labels} ${number(sum)}\n${info.name}_count${labels} ${count}\n`;
}

function withLabel(labels: string, label: string): string {
  return labels === '' ? `{${label}}` : `${labels.slice(0, -1)},${label}}`;
}

function number(value: number | undefined): string {
  return value === Infinity ? '+Inf' : value === -Infinity ? '-Inf' : String(value);
}

function head(info: MetricInfo, format: ExpositionFormat): string {
  // OpenMetrics names the family, the older text format the sample.
  const name = info.kind === 'counter' && format === 'text' ? `${info.name}_total` : info.name;
  const help = info.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  const escaped = format === 'openmetrics' ? help.replaceAll('"', '\\"') : help;
  return `# HELP ${name} ${escaped}\n# TYPE ${name} ${info.kind}\n`;
}
