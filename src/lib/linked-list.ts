/**
 * A list for members that come and go all the time: each knows its place, so that leaving looks for nothing.
 *
 * Sets and maps that outlive their members are dear to the garbage collector: V8 replaces their table every so many changes and links the
 * old table to the new one. Once one of these tables is in the old generation, all that follow it, with every member that they ever had,
 * live until the next full collection (bench/micro/members.ts: 566 ns a member of a set, 71 of a list).
 */

/** A place in a list: what `add` returns, and `remove` takes. */
export class Link<T extends object> {
  /** Undefined: a bookmark of somebody who walks along the list, or the list's own. */
  readonly value: T | undefined;
  /** Both are undefined when it is in no list, so that what left holds nothing alive. */
  next: Link<T> | undefined;
  previous: Link<T> | undefined;

  constructor(value: T | undefined) {
    this.value = value;
  }
}

export class LinkedList<T extends object> {
  /** Before the first and after the last. */
  readonly #root = new Link<T>(undefined);
  #size = 0;

  constructor() {
    this.#root.next = this.#root.previous = this.#root;
  }

  get size(): number {
    return this.#size;
  }

  /** Appends; the link is for `remove`. */
  add(value: T): Link<T> {
    const link = new Link(value);
    insertAfter(this.#root.previous as Link<T>, link);
    this.#size++;
    return link;
  }

  /** Takes out a link of this list; false when it is out already. */
  remove(link: Link<T>): boolean {
    if (link.next === undefined) return false;
    takeOut(link);
    this.#size--;
    return true;
  }

  /** In the order of adding. Meanwhile members may leave, and those that come are seen too. Who stops early says so by `return`. */
  *[Symbol.iterator](): Generator<T, undefined> {
    const bookmark = new Link<T>(undefined);
    insertAfter(this.#root, bookmark);
    try {
      for (;;) {
        const next = bookmark.next as Link<T>;
        if (next === this.#root) return undefined;
        takeOut(bookmark);
        insertAfter(next, bookmark);
        if (next.value !== undefined) yield next.value;
      }
    } finally {
      takeOut(bookmark);
    }
  }
}

function insertAfter<T extends object>(place: Link<T>, link: Link<T>): void {
  const next = place.next as Link<T>;
  link.previous = place;
  link.next = next;
  place.next = link;
  next.previous = link;
}

function takeOut<T extends object>(link: Link<T>): void {
  const previous = link.previous as Link<T>;
  const next = link.next as Link<T>;
  previous.next = next;
  next.previous = previous;
  link.next = link.previous = undefined;
}
