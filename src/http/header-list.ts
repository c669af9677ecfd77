/** Header list: the fields of one message in wire order, names in lower case, values as latin1 text. */

/** What callers may hand in: a list, or a plain record of name to value. */
export type HeaderInit = HeaderList | Readonly<Record<string, string>>;

/**
 * Fields in wire order, flat as name, value, name, value: one array a message, no object a field.
 * Pseudo header fields of HTTP/2 (`:method`) are ordinary entries and come first.
 */
export class HeaderList {
  /** Flat: even index = name, odd index = value. Owned by the list. */
  readonly fields: string[];
  /** Names that the sender marked "never indexed" (RFC 7541 section 6.2.3); an intermediary passes the mark on. */
  neverIndexed: Set<string> | undefined;

  constructor(fields: string[] = []) {
    this.fields = fields;
  }

  static from(init: HeaderInit): HeaderList {
    if (init instanceof HeaderList) return init;
    const list = new HeaderList();
    for (const [name, value] of Object.entries(init)) list.add(name.toLowerCase(), value);
    return list;
  }

  /** The value of the first field of that name. */
  get(name: string): string | undefined {
    const { fields } = this;
    for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1];
    return undefined;
  }

  /** The values of all fields of that name, in order. */
  getAll(name: string): string[] {
    const { fields } = this;
    const values: string[] = [];
    for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) values.push(fields[i + 1] ?? '');
    return values;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** Appends a field; `name` is in lower case already. */
  add(name: string, value: string): this {
    this.fields.push(name, value);
    return this;
  }

  /** Leaves one field of that name: the first one changes its value in place, or a new one comes last. */
  set(name: string, value: string): this {
    const { fields } = this;
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] !== name) continue;
      fields[i + 1] = value;
      this.#removeFrom(i + 2, name);
      return this;
    }
    return this.add(name, value);
  }

  /** Removes all fields of that name. */
  remove(name: string): this {
    this.#removeFrom(0, name);
    return this;
  }

  copy(): HeaderList {
    const list = new HeaderList([...this.fields]);
    if (this.neverIndexed) list.neverIndexed = new Set(this.neverIndexed);
    return list;
  }

  #removeFrom(start: number, name: string): void {
    const { fields } = this;
    for (let i = start; i < fields.length;) {
      if (fields[i] === name) fields.splice(i, 2);
      else i += 2;
    }
  }

  /** Number of fields. */
  get size(): number {
    return this.fields.length / 2;
  }

  *[Symbol.iterator](): IterableIterator<readonly [string, string]> {
    const { fields } = this;
    for (let i = 0; i < fields.length; i += 2) yield [fields[i] ?? '', fields[i + 1] ?? ''];
  }
}
