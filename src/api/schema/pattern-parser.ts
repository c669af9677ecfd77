/** RE2's syntax (github.com/google/re2/wiki/Syntax) into a program for `pattern.ts`. What RE2 refuses is refused: look-around, back-references. */

/** One instruction; jumps are absolute. */
export type Instruction =
  | { readonly op: 'char'; readonly accepts: (codePoint: number) => boolean }
  | { readonly op: 'split'; readonly first: number; readonly second: number }
  | { readonly op: 'assert'; readonly at: Assertion }
  | { readonly op: 'match' };

export type Assertion = 'begin' | 'end' | 'line-begin' | 'line-end' | 'word' | 'not-word';

type Node =
  | { readonly kind: 'char'; readonly accepts: (codePoint: number) => boolean }
  | { readonly kind: 'assert'; readonly at: Assertion }
  | { readonly kind: 'sequence'; readonly parts: readonly Node[] }
  | { readonly kind: 'either'; readonly options: readonly Node[] }
  | {
      readonly kind: 'repeat';
      readonly part: Node;
      readonly min: number;
      readonly max: number;
      readonly lazy: boolean;
    };

type Accepts = (codePoint: number) => boolean;

interface Flags {
  readonly ignoreCase: boolean;
  readonly multiLine: boolean;
  readonly dotAll: boolean;
  readonly ungreedy: boolean;
}

const maxRepeat = 1000;
const maxDepth = 200;
/** RE2 bounds memory; this bounds it, too. */
const maxInstructions = 10_000;

/** Throws a SyntaxError whose message says what is wrong, as Go's `regexp` does: `missing closing ): ...`. */
export function parsePattern(source: string): Instruction[] {
  const program: Instruction[] = [];
  emit(new PatternParser(source).parse(), program);
  program.push({ op: 'match' });
  return program;
}

class PatternParser {
  readonly #source: string;
  readonly #chars: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    this.#source = source;
    this.#chars = Array.from(source);
  }

  parse(): Node {
    const node = this.#either({ ignoreCase: false, multiLine: false, dotAll: false, ungreedy: false });
    if (this.#at < this.#chars.length) throw this.#error(`unexpected )`);
    return node;
  }

  #either(given: Flags): Node {
    if (++this.#depth > maxDepth) throw this.#error('expression nests too deeply');
    const options: Node[] = [];
    let parts: Node[] = [];
    let flags = given;
    for (;;) {
      const char = this.#chars[this.#at];
      if (char === undefined || char === ')') break;
      if (char === '|') {
        this.#at += 1;
        options.push({ kind: 'sequence', parts });
        parts = [];
        continue;
      }
      const changed = this.#inlineFlags(flags);
      if (changed) {
        flags = changed;
        continue;
      }
      const atom = this.#atom(flags);
      parts.push(this.#quantified(atom, flags));
    }
    this.#depth -= 1;
    const last: Node = { kind: 'sequence', parts };
    return options.length === 0 ? last : { kind: 'either', options: [...options, last] };
  }

  /** `(?i)` changes the rest of the group. */
  #inlineFlags(flags: Flags): Flags | undefined {
    const match = /^\(\?([imsU]*(?:-[imsU]+)?)\)/.exec(this.#rest(12));
    if (!match?.[1]) return undefined;
    this.#at += match[0].length;
    return withFlags(flags, match[1]);
  }

  #atom(flags: Flags): Node {
    const char = this.#chars[this.#at] ?? '';
    this.#at += 1;
    switch (char) {
      case '(':
        return this.#group(flags);
      case '[':
        return { kind: 'char', accepts: this.#characterClass(flags) };
      case '.':
        return { kind: 'char', accepts: flags.dotAll ? () => true : (codePoint) => codePoint !== 10 };
      case '^':
        return { kind: 'assert', at: flags.multiLine ? 'line-begin' : 'begin' };
      case '$':
        return { kind: 'assert', at: flags.multiLine ? 'line-end' : 'end' };
      case '*':
      case '+':
      case '?':
        throw this.#error(`missing argument to repetition operator: \`${char}\``, true);
      case '\\':
        return this.#escape(flags);
      default:
        return literal(char, flags);
    }
  }

  #group(flags: Flags): Node {
    let inner = flags;
    if (this.#chars[this.#at] === '?') {
      const match = /^\?(?:P?<\w+>|([imsU]*(?:-[imsU]+)?):)/.exec(this.#rest(80));
      if (!match) throw this.#error(`invalid or unsupported Perl syntax: \`(${this.#rest(2)}\``, true);
      this.#at += match[0].length;
      if (match[1]) inner = withFlags(flags, match[1]);
    }
    const node = this.#either(inner);
    if (this.#chars[this.#at] !== ')') throw this.#error('missing closing )');
    this.#at += 1;
    return node;
  }

  #quantified(atom: Node, flags: Flags): Node {
    let node = atom;
    let count = 0;
    for (;;) {
      const range = this.#quantifier();
      if (!range) return node;
      if (++count > 1) throw this.#error('invalid nested repetition operator');
      const [min, max] = range;
      if (min > maxRepeat || (max !== Infinity && max > maxRepeat) || max < min) {
        throw this.#error(`invalid repeat count: \`{${min},${max === Infinity ? '' : max}}\``, true);
      }
      const lazy = this.#chars[this.#at] === '?';
      if (lazy) this.#at += 1;
      node = { kind: 'repeat', part: node, min, max, lazy: lazy !== flags.ungreedy };
    }
  }

  #quantifier(): readonly [min: number, max: number] | undefined {
    const char = this.#chars[this.#at];
    const simple = char === '*' ? [0, Infinity] : char === '+' ? [1, Infinity] : char === '?' ? [0, 1] : undefined;
    if (simple) {
      this.#at += 1;
      return [simple[0] ?? 0, simple[1] ?? 0];
    }
    if (char !== '{') return undefined;
    const match = /^\{(\d+)(,(\d*))?\}/.exec(this.#rest(16));
    // As in RE2, braces that are no count are text.
    if (!match) return undefined;
    this.#at += match[0].length;
    const min = Number(match[1]);
    return [min, match[2] === undefined ? min : match[3] === '' ? Infinity : Number(match[3])];
  }

  #escape(flags: Flags): Node {
    const char = this.#chars[this.#at];
    if (char === undefined) throw this.#error('trailing backslash at end of expression', true);
    const assertion = assertions[char];
    if (assertion) {
      this.#at += 1;
      return { kind: 'assert', at: assertion };
    }
    if (char === 'Q') {
      const end = this.#chars.indexOf('\\', this.#at);
      const stop = end >= 0 && this.#chars[end + 1] === 'E' ? end : this.#chars.length;
      const parts = this.#chars.slice(this.#at + 1, stop).map((each) => literal(each, flags));
      this.#at = stop === this.#chars.length ? stop : stop + 2;
      return { kind: 'sequence', parts };
    }
    const shorthand = this.#shorthand();
    if (shorthand) return { kind: 'char', accepts: shorthand };
    return literal(this.#escapedChar(), flags);
  }

  /** `\d`, `\pL`, `\p{Greek}`; undefined when it is something else. */
  #shorthand(): Accepts | undefined {
    const char = this.#chars[this.#at] ?? '';
    const perl = perlClasses[char.toLowerCase()];
    if (perl) {
      this.#at += 1;
      return char === char.toLowerCase() ? perl : (codePoint) => !perl(codePoint);
    }
    if (char !== 'p' && char !== 'P') return undefined;
    const match = /^[pP](?:\{(\^?)(\w+)\}|(\w))/.exec(this.#rest(40));
    const name = match?.[2] ?? match?.[3];
    if (!match || name === undefined) throw this.#error('invalid character class range: `\\p`', true);
    this.#at += match[0].length;
    const accepts = this.#unicodeClass(name);
    return (char === 'P') === (match[1] !== '^') ? (codePoint) => !accepts(codePoint) : accepts;
  }

  #unicodeClass(name: string): Accepts {
    if (name === 'Any') return () => true;
    for (const property of [`\\p{${name}}`, `\\p{Script=${name}}`]) {
      try {
        const test = new RegExp(`^${property}$`, 'u');
        return (codePoint) => test.test(String.fromCodePoint(codePoint));
      } catch {
        // Not a category: maybe a script.
      }
    }
    throw this.#error(`invalid character class range: \`\\p{${name}}\``, true);
  }

  #escapedChar(): string {
    const char = this.#chars[this.#at] ?? '';
    this.#at += 1;
    const control = controls[char];
    if (control !== undefined) return control;
    if (char === 'x') {
      const match = /^(?:\{([0-9a-fA-F]+)\}|([0-9a-fA-F]{2}))/.exec(this.#rest(12));
      const codePoint = Number.parseInt(match?.[1] ?? match?.[2] ?? '', 16);
      if (!match || !(codePoint <= 0x10_ff_ff)) throw this.#error('invalid escape sequence: `\\x`', true);
      this.#at += match[0].length;
      return String.fromCodePoint(codePoint);
    }
    if (/^[0-7]$/.test(char)) {
      const match = /^[0-7]{1,3}/.exec(char + this.#rest(2))?.[0] ?? char;
      if (char !== '0' && match.length === 1) throw this.#error(`invalid escape sequence: \`\\${char}\``, true);
      this.#at += match.length - 1;
      return String.fromCodePoint(Number.parseInt(match, 8));
    }
    if (/^\w$/.test(char)) throw this.#error(`invalid escape sequence: \`\\${char}\``, true);
    return char;
  }

  #characterClass(flags: Flags): Accepts {
    const tests: Accepts[] = [];
    const singles = new Set<number>();
    const negated = this.#chars[this.#at] === '^';
    if (negated) this.#at += 1;
    let first = true;
    for (;;) {
      const char = this.#chars[this.#at];
      if (char === undefined) throw this.#error('missing closing ]');
      if (char === ']' && !first) break;
      first = false;
      const named = /^\[:(\^?)(\w+):\]/.exec(char === '[' ? this.#rest(16) : '');
      if (named) {
        const posix = posixClasses[named[2] ?? ''];
        if (!posix) throw this.#error(`invalid character class range: \`${named[0]}\``, true);
        this.#at += named[0].length;
        tests.push(named[1] === '^' ? (codePoint) => !posix(codePoint) : posix);
        continue;
      }
      if (char === '\\') {
        this.#at += 1;
        const shorthand = this.#shorthand();
        if (shorthand) {
          tests.push(shorthand);
          continue;
        }
        this.#at -= 1;
      }
      const low = this.#classChar();
      if (this.#chars[this.#at] !== '-' || [undefined, ']'].includes(this.#chars[this.#at + 1])) {
        singles.add(low);
        continue;
      }
      this.#at += 1;
      const high = this.#classChar();
      if (high < low) {
        throw this.#error(
          `invalid character class range: \`${String.fromCodePoint(low)}-${String.fromCodePoint(high)}\``,
          true,
        );
      }
      tests.push((codePoint) => codePoint >= low && codePoint <= high);
    }
    this.#at += 1;
    const plain: Accepts = (codePoint) => singles.has(codePoint) || tests.some((test) => test(codePoint));
    const folded = flags.ignoreCase ? caseless(plain) : plain;
    return negated ? (codePoint) => !folded(codePoint) : folded;
  }

  #classChar(): number {
    const char = this.#chars[this.#at] ?? '';
    this.#at += 1;
    return (char === '\\' ? this.#escapedChar() : char).codePointAt(0) ?? 0;
  }

  /** At most `length` characters from here. */
  #rest(length: number): string {
    return this.#chars.slice(this.#at, this.#at + length).join('');
  }

  #error(message: string, whole = false): SyntaxError {
    return new SyntaxError(`error parsing regexp: ${message}${whole ? '' : `: \`${this.#source}\``}`);
  }
}

function emit(node: Node, program: Instruction[]): void {
  if (program.length > maxInstructions) throw new SyntaxError('error parsing regexp: expression too large');
  switch (node.kind) {
    case 'char':
      program.push({ op: 'char', accepts: node.accepts });
      break;
    case 'assert':
      program.push({ op: 'assert', at: node.at });
      break;
    case 'sequence':
      for (const part of node.parts) emit(part, program);
      break;
    case 'either':
      emitEither(node.options, program);
      break;
    case 'repeat':
      emitRepeat(node, program);
      break;
  }
}

function emitEither(options: readonly Node[], program: Instruction[]): void {
  const jumps: number[] = [];
  for (const [i, option] of options.entries()) {
    if (i === options.length - 1) {
      emit(option, program);
      break;
    }
    const split = reserve(program);
    emit(option, program);
    jumps.push(reserve(program));
    program[split] = { op: 'split', first: split + 1, second: program.length };
  }
  for (const jump of jumps) program[jump] = { op: 'split', first: program.length, second: program.length };
}

function emitRepeat(node: Node & { kind: 'repeat' }, program: Instruction[]): void {
  const { part, min, max, lazy } = node;
  const branch = (at: number, into: number, past: number): void => {
    program[at] = lazy ? { op: 'split', first: past, second: into } : { op: 'split', first: into, second: past };
  };
  for (let i = 0; i < min; i++) emit(part, program);
  if (max === Infinity) {
    const split = reserve(program);
    emit(part, program);
    const back = reserve(program);
    program[back] = { op: 'split', first: split, second: split };
    branch(split, split + 1, program.length);
    return;
  }
  const splits: number[] = [];
  for (let i = min; i < max; i++) {
    splits.push(reserve(program));
    emit(part, program);
  }
  for (const split of splits) branch(split, split + 1, program.length);
}

/** A place that is filled in when its targets are known. */
function reserve(program: Instruction[]): number {
  return program.push({ op: 'match' }) - 1;
}

function literal(char: string, flags: Flags): Node {
  const wanted = char.codePointAt(0) ?? 0;
  const plain: Accepts = (codePoint) => codePoint === wanted;
  return { kind: 'char', accepts: flags.ignoreCase ? caseless(plain) : plain };
}

function caseless(plain: Accepts): Accepts {
  return (codePoint) => {
    if (plain(codePoint)) return true;
    const char = String.fromCodePoint(codePoint);
    return [char.toLowerCase(), char.toUpperCase()].some((other) => {
      const folded = other.codePointAt(0) ?? 0;
      return folded !== codePoint && String.fromCodePoint(folded) === other && plain(folded);
    });
  };
}

function withFlags(flags: Flags, text: string): Flags {
  const [on = '', off = ''] = text.split('-');
  const value = (letter: string, was: boolean): boolean =>
    on.includes(letter) ? true : off.includes(letter) ? false : was;
  return {
    ignoreCase: value('i', flags.ignoreCase),
    multiLine: value('m', flags.multiLine),
    dotAll: value('s', flags.dotAll),
    ungreedy: value('U', flags.ungreedy),
  };
}

function ranges(...pairs: (readonly [string, string])[]): Accepts {
  const bounds = pairs.map(([low, high]) => [low.codePointAt(0) ?? 0, high.codePointAt(0) ?? 0] as const);
  return (codePoint) => bounds.some(([low, high]) => codePoint >= low && codePoint <= high);
}

export const isWordChar: (codePoint: number) => boolean = ranges(['0', '9'], ['A', 'Z'], ['a', 'z'], ['_', '_']);

const assertions: Readonly<Record<string, Assertion>> = { A: 'begin', z: 'end', b: 'word', B: 'not-word' };

const controls: Readonly<Record<string, string>> = { a: '\x07', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

const perlClasses: Readonly<Record<string, Accepts>> = {
  d: ranges(['0', '9']),
  s: ranges(['\t', '\n'], ['\f', '\r'], [' ', ' ']),
  w: isWordChar,
};

const posixClasses: Readonly<Record<string, Accepts>> = {
  alnum: ranges(['0', '9'], ['A', 'Z'], ['a', 'z']),
  alpha: ranges(['A', 'Z'], ['a', 'z']),
  ascii: ranges(['\0', '\x7f']),
  blank: ranges(['\t', '\t'], [' ', ' ']),
  cntrl: ranges(['\0', '\x1f'], ['\x7f', '\x7f']),
  digit: ranges(['0', '9']),
  graph: ranges(['!', '~']),
  lower: ranges(['a', 'z']),
  print: ranges([' ', '~']),
  punct: ranges(['!', '/'], [':', '@'], ['[', '`'], ['{', '~']),
  space: ranges(['\t', '\r'], [' ', ' ']),
  upper: ranges(['A', 'Z']),
  word: isWordChar,
  xdigit: ranges(['0', '9'], ['A', 'F'], ['a', 'f']),
};
