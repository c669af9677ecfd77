/** Label and field selectors: as objects hold them, and as they come in queries (`labelSelector=`, `fieldSelector=`). */
import { AmbitError } from '../lib/errors.ts';
import type { LabelSelector } from './meta.ts';

export type Labels = Readonly<Record<string, string>>;

export type LabelRequirement =
  | { readonly operator: 'in' | 'notin'; readonly key: string; readonly values: readonly string[] }
  | { readonly operator: 'exists' | 'absent'; readonly key: string }
  | { readonly operator: 'greater' | 'less'; readonly key: string; readonly value: number };

export interface ParsedLabelSelector {
  /** All must hold. */
  readonly requirements: readonly LabelRequirement[];
  matches(labels: Labels | undefined): boolean;
}

export interface FieldRequirement {
  /** `metadata.name`, `spec.nodeName` */
  readonly path: string;
  readonly equal: boolean;
  readonly value: string;
}

export interface ParsedFieldSelector {
  /** All must hold. */
  readonly requirements: readonly FieldRequirement[];
  /** Compares the text of each named field; an absent field is "". */
  matches(object: object): boolean;
}

/** Whether every pair of `selector` is among `labels`. An empty selector matches everything. */
export function matchesLabels(labels: Labels | undefined, selector: Labels): boolean {
  for (const key in selector) if (labels?.[key] !== selector[key]) return false;
  return true;
}

/** `metav1.LabelSelector`: an empty one matches everything. An operator nobody knows matches nothing. */
export function matchesSelector(labels: Labels | undefined, selector: LabelSelector): boolean {
  if (selector.matchLabels && !matchesLabels(labels, selector.matchLabels)) return false;
  return (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = labels?.[key];
    switch (operator) {
      case 'In':
        return value !== undefined && values.includes(value);
      case 'NotIn':
        return value === undefined || !values.includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
      default:
        return false;
    }
  });
}

/**
 * The query syntax of label selectors: `a=b,c!=d,e in (x,y),f notin (z),g,!h,i>1`.
 * Throws `selector.invalid-label`.
 */
export function parseLabelSelector(text: string): ParsedLabelSelector {
  const requirements = splitOutsideParentheses(text).map((part) => parseLabelRequirement(part, text));
  return { requirements, matches: (labels) => requirements.every((requirement) => holds(requirement, labels)) };
}

/** The query syntax of field selectors: `metadata.name=x,spec.nodeName!=y`. Throws `selector.invalid-field`. */
export function parseFieldSelector(text: string): ParsedFieldSelector {
  const requirements = text
    .split(/(?<!\\),/)
    .filter((part) => part !== '')
    .map((part): FieldRequirement => {
      const match = /^\s*([\w.\-/[\]]+)\s*(!=|==|=)(.*)$/s.exec(part);
      if (!match) {
        const message = `Cannot parse field selector "${text}": "${part}" is not "path=value" or "path!=value"`;
        throw new AmbitError(message, { code: 'selector.invalid-field', blame: 'downstream' });
      }
      const [, path = '', operator, value = ''] = match;
      return { path, equal: operator !== '!=', value: value.trim().replaceAll(/\\([\\,=])/g, '$1') };
    });
  return {
    requirements,
    matches: (object) => requirements.every(({ path, equal, value }) => (fieldText(object, path) === value) === equal),
  };
}

/** The query text of a selector object. */
export function formatSelector(selector: LabelSelector): string {
  const pairs = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  const expressions = (selector.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    if (operator === 'Exists') return key;
    if (operator === 'DoesNotExist') return `!${key}`;
    return `${key} ${operator.toLowerCase()} (${values.join(',')})`;
  });
  return [...pairs, ...expressions].join(',');
}

function holds(requirement: LabelRequirement, labels: Labels | undefined): boolean {
  const value = labels?.[requirement.key];
  switch (requirement.operator) {
    case 'in':
      return value !== undefined && requirement.values.includes(value);
    case 'notin':
      return value === undefined || !requirement.values.includes(value);
    case 'exists':
      return value !== undefined;
    case 'absent':
      return value === undefined;
    case 'greater':
      return value !== undefined && /^-?\d+$/.test(value) && Number(value) > requirement.value;
    case 'less':
      return value !== undefined && /^-?\d+$/.test(value) && Number(value) < requirement.value;
  }
}

const labelKey = String.raw`[A-Za-z0-9](?:[\w.\-]*[A-Za-z0-9])?(?:/[A-Za-z0-9](?:[\w.\-]*[A-Za-z0-9])?)?`;
const labelValue = String.raw`(?:[A-Za-z0-9](?:[\w.\-]*[A-Za-z0-9])?)?`;
const presence = new RegExp(String.raw`^(!?)\s*(${labelKey})$`);
const comparison = new RegExp(String.raw`^(${labelKey})\s*(!=|==|=)\s*(${labelValue})$`);
const membership = new RegExp(String.raw`^(${labelKey})\s+(in|notin)\s*\(([^()]*)\)$`);
const ordering = new RegExp(String.raw`^(${labelKey})\s*([<>])\s*(-?\d+)$`);
const wholeValue = new RegExp(`^${labelValue}$`);

function parseLabelRequirement(part: string, whole: string): LabelRequirement {
  const [, negated, present] = presence.exec(part) ?? [];
  if (present !== undefined) return { operator: negated === '!' ? 'absent' : 'exists', key: present };
  const [, comparedKey, sign, value = ''] = comparison.exec(part) ?? [];
  if (comparedKey !== undefined) return { operator: sign === '!=' ? 'notin' : 'in', key: comparedKey, values: [value] };
  const [, memberKey, operator, list = ''] = membership.exec(part) ?? [];
  const values = list.split(',').map((item) => item.trim());
  if (memberKey !== undefined && values.every((item) => wholeValue.test(item))) {
    return { operator: operator === 'notin' ? 'notin' : 'in', key: memberKey, values };
  }
  const [, orderedKey, direction, bound] = ordering.exec(part) ?? [];
  if (orderedKey !== undefined)
    return { operator: direction === '>' ? 'greater' : 'less', key: orderedKey, value: Number(bound) };
  const message = `Cannot parse label selector "${whole}": "${part}" is no requirement`;
  throw new AmbitError(message, { code: 'selector.invalid-label', blame: 'downstream' });
}

function splitOutsideParentheses(text: string): string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part, _, all) => part !== '' || all.length > 1);
}

function fieldText(object: object, path: string): string {
  let value: unknown = object;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null) return '';
    value = (value as Record<string, unknown>)[name];
  }
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}
