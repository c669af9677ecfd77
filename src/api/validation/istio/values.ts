/** Values that several kinds have: ports, durations, percentages, labels, blocks of addresses, headers, namespaces to export to. */
import type { FieldView } from '../../field-view.ts';
import { goDurationNanos } from '../../schema/formats.ts';
import { tryParseCidr } from '../../../lib/ip.ts';
import { validateLabels } from '../meta.ts';
import { re2Problems } from '../re2.ts';
import type { Findings } from '../validation.ts';
import { isLabel } from './hosts.ts';

const millisecond = 1_000_000n;
const headerName = /^[-_A-Za-z0-9]+$/;
/** `%%`, or a command of Envoy's access logs: `%REQ(x-name):20%`. */
const formatted = /%(?:%|[A-Z][A-Z0-9_]*(?:\([^)]*\))?(?::\d+)?%)/g;

export function checkPort(view: FieldView, found: Findings): void {
  if (view.number !== undefined && !isPort(view.number)) found.invalid(view, 'must be between 1 and 65535, inclusive');
}

export function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 65_535;
}

/** At least a millisecond, and whole milliseconds; or nothing, where `zero` says so. */
export function checkDuration(view: FieldView, found: Findings, zero: 'refuse' | 'accept' = 'refuse'): void {
  if (view.text === undefined) return;
  const nanos = goDurationNanos(view.text);
  if (nanos === undefined) found.invalid(view, 'must be a duration, like 5s, 250ms or 1h30m');
  else if (nanos === 0n && zero === 'accept') return;
  else if (nanos < millisecond) found.invalid(view, 'must be a duration of at least 1ms');
  else if (nanos % millisecond !== 0n) found.invalid(view, 'must be a whole number of milliseconds');
}

/** An integer from 0 to 100. */
export function checkPercent(view: FieldView, found: Findings): void {
  if (view.number !== undefined && !(view.number >= 0 && view.number <= 100))
    found.invalid(view, 'must be between 0 and 100');
}

/** A share of requests: steps are one in a million, so what is smaller would be nothing. */
export function checkFraction(percentage: FieldView, found: Findings): void {
  const value = percentage.at('value');
  if (value.number === undefined || value.number === 0) return;
  if (!(value.number >= 0.0001 && value.number <= 100)) found.invalid(value, 'must be 0, or between 0.0001 and 100');
}

export function checkNonNegative(view: FieldView, found: Findings): void {
  if (view.number !== undefined && view.number < 0) found.invalid(view, 'must be greater than or equal to 0');
}

export function checkRegex(view: FieldView, found: Findings): void {
  if (view.text !== undefined) found.invalidAll(view, re2Problems(view.text));
}

/** An IP address or a CIDR block. */
export function checkSubnet(view: FieldView, found: Findings): void {
  if (view.text !== undefined && !tryParseCidr(view.text)) {
    found.invalid(view, 'must be an IP address or a CIDR block, (e.g. 10.9.8.7 or 10.9.8.0/24)');
  }
}

/** Wildcards in selectors read as literal text and so match nothing: Istio refuses them, too. */
export function checkSelectedLabels(labels: FieldView, found: Findings): void {
  const before = found.errors.length;
  for (const [key, value] of labels.entries()) {
    if (key === '') found.invalid({ ...labels, value: key }, 'key may not be empty');
    if (key.includes('*') || value.text?.includes('*')) found.invalid(value, 'wildcard is not supported in selector');
  }
  if (found.errors.length === before) found.add(validateLabels(labels));
}

/** `workloadSelector` of the networking kinds. */
export function checkWorkloadSelector(selector: FieldView, found: Findings, field = 'labels'): void {
  if (!selector.exists) return;
  checkSelectedLabels(selector.at(field), found);
  if (selector.at(field).entries().length === 0) {
    found.warn(selector, 'selects every workload of the namespace: name labels, or leave it out');
  }
}

export function checkHeaderName(view: FieldView, name: string, found: Findings): void {
  if (!headerName.test(name)) found.invalid({ ...view, value: name }, "a header name has letters, digits, '-' and '_'");
}

/** Text of a header; commands of Envoy's access log format are filled in, so a `%` that is none must be doubled. */
export function checkHeaderValue(view: FieldView, found: Findings): void {
  if (view.text === undefined) return;
  // eslint-disable-next-line no-control-regex
  if (/[\0-\x08\n-\x1f\x7f]/.test(view.text)) found.invalid(view, 'a header value may not have control characters');
  if (view.text.replaceAll(formatted, '').includes('%')) {
    found.invalid(
      view,
      'must write %% for a percent sign; a single one begins a command, like %DOWNSTREAM_REMOTE_ADDRESS%',
    );
  }
}

interface Export {
  readonly namespace: string | undefined;
  /** Whether `~`, nobody, is a choice. */
  readonly nobody?: true;
  /** Whether only the object's own namespace is. */
  readonly ownOnly?: boolean;
}

export function checkExportTo(exportTo: FieldView, { namespace, nobody, ownOnly }: Export, found: Findings): void {
  const seen = new Set<string>();
  const items = exportTo.items();
  for (const item of items) {
    const text = item.text ?? '';
    const known = text === '.' || text === '*' || (nobody && text === '~') || isLabel(text);
    if (!known) found.invalid(item, `must be ., *, ${nobody ? '~, ' : ''}or the name of a namespace`);
    const key = text === '.' ? (namespace ?? '.') : text;
    if (seen.has(key)) found.duplicate(item);
    seen.add(key);
    if (ownOnly && text !== '.' && text !== namespace) {
      found.invalid(item, "must be ., since workloadSelector chooses clients of the object's own namespace");
    }
  }
  for (const item of items) {
    if (items.length > 1 && (item.text === '*' || (nobody && item.text === '~'))) {
      found.invalid(
        item,
        `cannot stand beside others: ${item.text} already says ${item.text === '*' ? 'all' : 'nobody'}`,
      );
    }
  }
}
