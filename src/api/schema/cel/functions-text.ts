/** CEL functions for texts, lists and patterns that Kubernetes adds (`k8s.io/apiserver/pkg/cel/library`: lists, regex, format; cel-go's strings extension). */
import { EvaluationError, Optional, type Environment } from '@marcbachmann/cel-js';
import { formatCheck } from '../formats.ts';
import { compilePattern, findMatches } from '../pattern.ts';
import { charge } from './budget.ts';
import { itemsOf } from './values.ts';

const sync = { async: false };

/** Methods of the library that ours replace: its patterns backtrack, and its `join` knows no sets. */
export const replacedMethods: Readonly<Record<string, string>> = { matches: 'matchesPattern', join: 'joinTexts' };

export function registerTextFunctions(env: Environment): void {
  env
    .registerFunction('string.matchesPattern(string): bool', matchesPattern, sync)
    .registerFunction('matches(string, string): bool', matchesPattern, sync)
    .registerFunction('string.find(string): string', (text, pattern) => found(text, pattern, 1)[0] ?? '', sync)
    .registerFunction('string.findAll(string): list<string>', (text, pattern) => found(text, pattern, Infinity), sync)
    .registerFunction(
      'string.findAll(string, int): list<string>',
      (text, pattern, limit: bigint) => found(text, pattern, limit < 0n ? Infinity : Number(limit)),
      sync,
    )
    .registerFunction('string.charAt(int): string', charAt, sync)
    .registerFunction('string.reverse(): string', (text: string) => Array.from(text).toReversed().join(''), sync)
    .registerFunction('string.replace(string, string): string', (text, from, to) => replace(text, from, to, -1n), sync)
    .registerFunction('string.replace(string, string, int): string', replace, sync)
    .registerFunction('list.joinTexts(): string', (list) => join(list, ''), sync)
    .registerFunction('list.joinTexts(string): string', join, sync)
    .registerFunction('list.isSorted(): bool', isSorted, sync)
    .registerFunction('list.sum(): dyn', sum, sync)
    .registerFunction('list.min(): dyn', (list) => extreme(list, 'min', (a, b) => a < b), sync)
    .registerFunction('list.max(): dyn', (list) => extreme(list, 'max', (a, b) => a > b), sync)
    .registerFunction('list.indexOf(dyn): int', (list, item) => BigInt(itemsOf(list).indexOf(item)), sync)
    .registerFunction('list.lastIndexOf(dyn): int', (list, item) => BigInt(itemsOf(list).lastIndexOf(item)), sync);
  registerFormats(env);
  registerSets(env);
}

function matchesPattern(text: string, pattern: string): boolean {
  charge(1 + Math.trunc(text.length / 10));
  return withPattern(() => compilePattern(pattern)(text));
}

function found(text: string, pattern: string, limit: number): string[] {
  charge(1 + text.length);
  return withPattern(() => findMatches(pattern, text, limit));
}

function withPattern<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw error instanceof SyntaxError ? new EvaluationError(error.message) : error;
  }
}

function charAt(text: string, index: bigint): string {
  const chars = Array.from(text);
  if (index < 0n || index > BigInt(chars.length)) throw new EvaluationError(`index out of range: ${index}`);
  return chars[Number(index)] ?? '';
}

function replace(text: string, from: string, to: string, times: bigint): string {
  charge(1 + text.length);
  if (times < 0n) return bounded(text.split(from).join(to));
  const parts = text.split(from);
  const head = parts.slice(0, Number(times) + 1).join(to);
  return bounded([head, ...parts.slice(Number(times) + 1)].join(from));
}

function join(list: unknown, separator: string): string {
  const items = itemsOf(list);
  charge(items.length);
  if (items.some((item) => typeof item !== 'string')) throw new EvaluationError('no such overload: join');
  return bounded(items.join(separator));
}

/** Texts that grow in a loop are as hostile as loops that do not end. */
function bounded(text: string): string {
  charge(Math.trunc(text.length / 10));
  return text;
}

function isSorted(list: unknown): boolean {
  const items = itemsOf(list) as (string | number | bigint)[];
  charge(items.length);
  return items.every((item, i) => i === 0 || (items[i - 1] ?? item) <= item);
}

function sum(list: unknown): bigint | number {
  const items = itemsOf(list) as (number | bigint)[];
  charge(items.length);
  if (items.every((item) => typeof item === 'bigint')) return items.reduce((total, item) => total + item, 0n);
  return items.reduce<number>((total, item) => total + Number(item), 0);
}

function extreme(
  list: unknown,
  name: string,
  wins: (a: string | bigint | number, b: string | bigint | number) => boolean,
): unknown {
  const items = itemsOf(list) as (string | bigint | number)[];
  charge(items.length);
  const [first, ...rest] = items;
  if (first === undefined) throw new EvaluationError(`${name} called on empty list`);
  return rest.reduce((best, item) => (wins(item, best) ? item : best), first);
}

class NamedFormat {
  readonly problemsOf: (text: string) => string[];

  constructor(problemsOf: (text: string) => string[]) {
    this.problemsOf = problemsOf;
  }
}

const dnsLabel = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;
const isQualifiedName = (text: string): boolean =>
  /^(?:[a-z0-9.-]+\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/.test(text);

const namedFormats: Readonly<Record<string, (text: string) => boolean>> = {
  dns1123Label: (text) => text.length <= 63 && dnsLabel.test(text),
  dns1123Subdomain: (text) => text.length <= 253 && text.split('.').every((part) => dnsLabel.test(part)),
  dns1035Label: (text) => text.length <= 63 && /^[a-z](?:[-a-z0-9]*[a-z0-9])?$/.test(text),
  qualifiedName: isQualifiedName,
  labelValue: (text) => text === '' || (text.length <= 63 && /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/.test(text)),
  uri: (text) => formatCheck('uri')?.(text) === true,
  uuid: (text) => formatCheck('uuid')?.(text) === true,
  byte: (text) => formatCheck('byte')?.(text) === true,
  date: (text) => formatCheck('date')?.(text) === true,
  datetime: (text) => formatCheck('datetime')?.(text) === true,
};

/** `format.dns1123Label().validate(self.x).hasValue()` */
function registerFormats(env: Environment): void {
  class Formats {
    readonly named = namedFormats;
  }
  env.registerType('kubernetes.Formats', Formats).registerType('kubernetes.NamedFormat', NamedFormat);
  env.registerConstant('format', 'kubernetes.Formats', new Formats());
  for (const [name, accepts] of Object.entries(namedFormats)) {
    const format = new NamedFormat((text) => (accepts(text) ? [] : [`must be a valid ${name}`]));
    env.registerFunction(`kubernetes.Formats.${name}(): kubernetes.NamedFormat`, () => format, sync);
  }
  env.registerFunction(
    'kubernetes.NamedFormat.validate(string): dyn',
    (format: NamedFormat, text: string) => {
      const problems = format.problemsOf(text);
      return problems.length === 0 ? Optional.none() : Optional.of(problems);
    },
    sync,
  );
}

/** `sets.contains(list, list)` and its like. */
function registerSets(env: Environment): void {
  class Sets {
    readonly name = 'sets';
  }
  const has = (list: unknown, item: unknown): boolean => itemsOf(list).includes(item);
  const contains = (_: Sets, list: unknown, items: unknown): boolean => {
    charge(itemsOf(list).length * itemsOf(items).length);
    return itemsOf(items).every((item) => has(list, item));
  };
  env
    .registerType('kubernetes.Sets', Sets)
    .registerConstant('sets', 'kubernetes.Sets', new Sets())
    .registerFunction('kubernetes.Sets.contains(list, list): bool', contains, sync)
    .registerFunction(
      'kubernetes.Sets.equivalent(list, list): bool',
      (sets, a, b) => contains(sets, a, b) && contains(sets, b, a),
      sync,
    )
    .registerFunction(
      'kubernetes.Sets.intersects(list, list): bool',
      (_, a, b) => itemsOf(b).some((item) => has(a, item)),
      sync,
    );
}
