/**
 * RE2's patterns in linear time. The engine's own regular expressions backtrack: one pattern of a stranger's schema, `(a+)+$`,
 * would stop the API server for minutes. Here a pattern is a set of states that moves over the text once; the sets seen so far
 * are kept with their transitions, which makes common patterns about as fast as the engine's.
 */
import { isWordChar, parsePattern, type Assertion, type Instruction } from './pattern-parser.ts';

/** Whether a text contains a match. */
export type Pattern = (text: string) => boolean;

/** Compiled patterns, by source. The oldest goes when there are too many. */
const cache = new Map<string, Program>();
const maxCached = 2_000;
/** Room for the sets of one pattern, in states; they start over when there are more. */
const maxKeptStates = 500_000;

interface StateSet {
  /** Instructions that wait for a character. */
  readonly waiting: readonly number[];
  readonly matched: boolean;
  /** Whether it matches if the text ends here. */
  readonly matchesAtEnd: boolean;
  readonly next: Map<number, StateSet>;
}

interface Program {
  readonly code: readonly Instruction[];
  /** Whether an assertion looks at the characters around it: then sets cannot be kept. */
  readonly looksAround: boolean;
  readonly sets: Map<string, StateSet>;
}

/** Throws a SyntaxError worded as Go's `regexp` words it. */
export function compilePattern(source: string): Pattern {
  const program = programOf(source);
  return (text) => (program.looksAround ? findMatch(program, text, 0) !== undefined : contains(program, text));
}

/** All matches, leftmost first, none overlapping; at most `limit`. */
export function findMatches(source: string, text: string, limit: number = Infinity): string[] {
  const program = programOf(source);
  const found: string[] = [];
  for (let at = 0; at <= text.length && found.length < limit;) {
    const match = findMatch(program, text, at);
    if (!match) break;
    const [start, end] = match;
    found.push(text.slice(start, end));
    at = end > start ? end : end + 1;
  }
  return found;
}

function programOf(source: string): Program {
  let program = cache.get(source);
  if (!program) {
    const code = parsePattern(source);
    const around = new Set<Assertion>(['word', 'not-word', 'line-begin', 'line-end']);
    const looksAround = code.some((each) => each.op === 'assert' && around.has(each.at));
    program = { code, looksAround, sets: new Map() };
    if (cache.size >= maxCached) for (const oldest of cache.keys()) if (cache.delete(oldest)) break;
    cache.set(source, program);
  }
  return program;
}

function contains(program: Program, text: string): boolean {
  let set = setOf(program, [0], true);
  for (let i = 0; i < text.length;) {
    if (set.matched) return true;
    const codePoint = text.codePointAt(i) ?? 0;
    i += codePoint > 0xff_ff ? 2 : 1;
    let next = set.next.get(codePoint);
    if (!next) {
      const starts: number[] = [];
      for (const at of set.waiting) {
        const each = program.code[at];
        if (each?.op === 'char' && each.accepts(codePoint)) starts.push(at + 1);
      }
      // A match may begin anywhere.
      next = setOf(program, [...starts, 0], false);
      set.next.set(codePoint, next);
    }
    set = next;
  }
  return set.matched || set.matchesAtEnd;
}

function setOf(program: Program, starts: readonly number[], atBegin: boolean): StateSet {
  const closure = (atEnd: boolean): number[] =>
    reach(program.code, starts, (at) => (at === 'begin' && atBegin) || (at === 'end' && atEnd));
  const inside = closure(false);
  const key = `${atBegin ? '^' : ''}${inside.join()}`;
  let set = program.sets.get(key);
  if (!set) {
    const isMatch = (at: number): boolean => program.code[at]?.op === 'match';
    set = {
      waiting: inside.filter((at) => program.code[at]?.op === 'char'),
      matched: inside.some(isMatch),
      matchesAtEnd: closure(true).some(isMatch),
      next: new Map(),
    };
    if (program.sets.size * program.code.length >= maxKeptStates) {
      for (const kept of program.sets.values()) kept.next.clear();
      program.sets.clear();
    }
    program.sets.set(key, set);
  }
  return set;
}

/** Every instruction reached without reading, in order of preference; assertions that fail are kept out of the way but recorded. */
function reach(code: readonly Instruction[], starts: readonly number[], holds: (at: Assertion) => boolean): number[] {
  const seen = new Set<number>();
  const result: number[] = [];
  const stack = [...starts].toReversed();
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    if (seen.has(at)) continue;
    seen.add(at);
    const each = code[at];
    if (each?.op === 'split') stack.push(each.second, each.first);
    else {
      result.push(at);
      if (each?.op === 'assert' && holds(each.at)) stack.push(at + 1);
    }
  }
  return result;
}

/** The leftmost match from `from` on, as RE2 and Perl choose it. */
function findMatch(program: Program, text: string, from: number): readonly [start: number, end: number] | undefined {
  const { code } = program;
  let threads: { readonly at: number; readonly start: number }[] = [];
  let best: readonly [number, number] | undefined;
  for (let i = from; ;) {
    const holds = (at: Assertion): boolean => assertionHolds(at, text, i);
    const seen = new Set<number>();
    const reached: { readonly at: number; readonly start: number }[] = [];
    const begin = best ? threads : [...threads, { at: 0, start: i }];
    for (const thread of begin) {
      for (const at of reach(code, [thread.at], holds)) {
        if (seen.has(at)) continue;
        seen.add(at);
        reached.push({ at, start: thread.start });
      }
    }
    threads = [];
    const codePoint = text.codePointAt(i);
    const after = i + ((codePoint ?? 0) > 0xff_ff ? 2 : 1);
    for (const { at, start } of reached) {
      const each = code[at];
      if (each?.op === 'match') {
        best = [start, i];
        // Threads after this one are less preferred.
        break;
      }
      if (codePoint !== undefined && each?.op === 'char' && each.accepts(codePoint))
        threads.push({ at: at + 1, start });
    }
    if (codePoint === undefined || (best && threads.length === 0)) return best;
    i = after;
  }
}

function assertionHolds(at: Assertion, text: string, i: number): boolean {
  const isWord = (position: number): boolean => isWordChar(text.charCodeAt(position));
  switch (at) {
    case 'begin':
      return i === 0;
    case 'end':
      return i === text.length;
    case 'line-begin':
      return i === 0 || text[i - 1] === '\n';
    case 'line-end':
      return i === text.length || text[i] === '\n';
    case 'word':
      return isWord(i - 1) !== isWord(i);
    case 'not-word':
      return isWord(i - 1) === isWord(i);
  }
}
