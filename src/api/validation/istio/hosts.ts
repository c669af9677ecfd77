/** Host names: of services, with wildcards, and how they overlap. */
import type { FieldView } from '../../field-view.ts';
import { tryParseIp } from '../../../lib/ip.ts';
import type { Findings } from '../validation.ts';

const label = /^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$/;
const firstLabel = /^(?:\*|(?:\*|\*-)?[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)$/;

const maxLength = 255;

export function isIp(text: string): boolean {
  return tryParseIp(text) !== undefined;
}

/** A name of a namespace, subset, gateway or trust domain part. */
export function isLabel(text: string): boolean {
  return text.length <= 63 && label.test(text);
}

/** What keeps `host` from being a DNS name, short or long. */
export function hostProblems(host: string): string[] {
  if (host === '' || host.length > maxLength) return [`must be a DNS name of 1 to ${maxLength} characters`];
  const labels = host.split('.');
  // As in `example.com.`
  if (labels.length > 1 && labels.at(-1) === '') labels.pop();
  if (/^\d+$/.test(labels.at(-1) ?? '')) return ['must be a DNS name: its last label cannot be a number'];
  return labels.every(isLabel) ? [] : ["must be a DNS name: labels of letters, digits and '-', with dots between"];
}

/** Like `hostProblems`, and the first label may be or begin with `*`. */
export function wildcardHostProblems(host: string): string[] {
  if (host === '' || host.length > maxLength) return [`must be a DNS name of 1 to ${maxLength} characters`];
  const [first = '', ...rest] = host.split('.');
  if (!firstLabel.test(first) || first.length > 64) {
    return ["must be a DNS name, in which only the first label may have a '*', at its front"];
  }
  return rest.length === 0 ? (/^\d+$/.test(first) ? hostProblems(host) : []) : hostProblems(rest.join('.'));
}

/** Whether some name is meant by both. */
export function hostsOverlap(one: string, other: string): boolean {
  const [a, b] = [one.toLowerCase(), other.toLowerCase()];
  if (a.startsWith('*') && b.startsWith('*'))
    return a.length < b.length ? b.endsWith(a.slice(1)) : a.endsWith(b.slice(1));
  if (a.startsWith('*')) return b.endsWith(a.slice(1));
  return b.startsWith('*') ? a.endsWith(b.slice(1)) : a === b;
}

/** Whether every name that `inner` means is meant by `outer`, too. */
export function hostCovers(outer: string, inner: string): boolean {
  const [a, b] = [outer.toLowerCase(), inner.toLowerCase()];
  return a.startsWith('*') ? b.endsWith(a.slice(1)) && b.length >= a.length : a === b;
}

/** Hosts of listeners: `host`, or `namespace/host` where the namespace may be `*`, `.` or, of a Sidecar, `~`. */
export function checkScopedHost(view: FieldView, use: 'gateway' | 'sidecar', found: Findings): void {
  if (view.text === undefined) return;
  const slash = view.text.indexOf('/');
  if (slash < 0) {
    if (use === 'sidecar') found.invalid(view, 'must be namespace/host, as ./* or istio-system/*');
    else found.invalidAll(view, wildcardHostProblems(view.text));
    return;
  }
  const namespace = view.text.slice(0, slash);
  const host = view.text.slice(slash + 1);
  if (namespace === '' || host === '') {
    found.invalid(view, 'neither the namespace nor the host may be empty');
    return;
  }
  const known =
    namespace === '*' || namespace === '.' || (use === 'sidecar' && namespace === '~') || isLabel(namespace);
  if (!known)
    found.invalid(
      view,
      `must begin with the name of a namespace, or with ${use === 'sidecar' ? '*, . or ~' : '* or .'}`,
    );
  found.invalidAll(view, wildcardHostProblems(host));
}
