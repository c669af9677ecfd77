/** The simple JSONPath of printer columns, scale paths and selectable fields (`k8s.io/client-go/util/jsonpath`, without scripts and ranges). */
import { isRecord } from '../field-view.ts';

type Step =
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'filter'; readonly path: readonly Step[]; readonly operator: string; readonly literal: unknown };

/** Finds what a path leads to: every value, in order. */
export type JsonPath = (root: unknown) => unknown[];

/** `.spec.hosts`, `.metadata.labels['a\.b']`, `.status.conditions[?(@.type=="Ready")].status`; undefined for what is no path. */
export function tryParseJsonPath(text: string): JsonPath | undefined {
  const steps = parseSteps(text.replace(/^\{(.*)\}$/, '$1'));
  return (
    steps && ((root) => steps.reduce<unknown[]>((values, step) => values.flatMap((value) => take(value, step)), [root]))
  );
}

function parseSteps(text: string): readonly Step[] | undefined {
  const steps: Step[] = [];
  for (let rest = text.replace(/^\$/, ''); rest !== '';) {
    const match = stepPattern.exec(rest);
    if (!match) return undefined;
    rest = rest.slice(match[0].length);
    const { field, quoted, index, all, left, operator, literal } = match.groups ?? {};
    if (field !== undefined) steps.push(field === '*' ? { kind: 'all' } : { kind: 'field', name: unescape(field) });
    else if (quoted !== undefined) steps.push({ kind: 'field', name: unescape(quoted) });
    else if (index !== undefined) steps.push({ kind: 'index', index: Number(index) });
    else if (all !== undefined) steps.push({ kind: 'all' });
    else {
      const path = parseSteps(left ?? '');
      const value = literalOf(literal ?? '');
      if (!path || value === undefined) return undefined;
      steps.push({ kind: 'filter', path, operator: operator ?? '==', literal: value });
    }
  }
  return steps;
}

const stepPattern = new RegExp(
  [
    String.raw`^(?:\.(?<field>(?:[^.[\]\\]|\\.)+)`,
    String.raw`|\['(?<quoted>(?:[^'\\]|\\.)*)'\]`,
    String.raw`|\[(?<index>-?\d+)\]`,
    String.raw`|\[(?<all>\*)\]`,
    String.raw`|\[\?\(\s*@(?<left>[^=!<>\s]*)\s*(?<operator>==|!=|<=|>=|<|>)\s*(?<literal>"[^"]*"|'[^']*'|[^\s)]+)\s*\)\])`,
  ].join(''),
);

function unescape(name: string): string {
  return name.replaceAll(/\\(.)/g, '$1');
}

function literalOf(text: string): unknown {
  if (/^(['"]).*\1$/.test(text)) return text.slice(1, -1);
  if (text === 'true' || text === 'false') return text === 'true';
  return text !== '' && !Number.isNaN(Number(text)) ? Number(text) : undefined;
}

function take(value: unknown, step: Step): unknown[] {
  switch (step.kind) {
    case 'field':
      return isRecord(value) && Object.hasOwn(value, step.name) ? [value[step.name]] : [];
    case 'index': {
      const item: unknown = Array.isArray(value) ? value.at(step.index) : undefined;
      return item === undefined ? [] : [item];
    }
    case 'all':
      return Array.isArray(value) ? value : isRecord(value) ? Object.values(value) : [];
    case 'filter': {
      const items: unknown[] = Array.isArray(value) ? value : [];
      return items.filter((item) => {
        const found = step.path.reduce<unknown[]>(
          (values, inner) => values.flatMap((each) => take(each, inner)),
          [item],
        );
        return found.some((each) => compare(each, step.operator, step.literal));
      });
    }
  }
}

function compare(value: unknown, operator: string, literal: unknown): boolean {
  if (operator === '==') return value === literal;
  if (operator === '!=') return value !== literal;
  if (typeof value !== 'number' || typeof literal !== 'number') return false;
  return operator === '<'
    ? value < literal
    : operator === '<='
      ? value <= literal
      : operator === '>'
        ? value > literal
        : value >= literal;
}
