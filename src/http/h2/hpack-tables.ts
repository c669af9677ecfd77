/** The static table of HPACK (RFC 7541 appendix A) and the dynamic table of a decoder. */

const staticText =
  ':authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https|:status=200|:status=204|' +
  ':status=206|:status=304|:status=400|:status=404|:status=500|accept-charset|accept-encoding=gzip, deflate|' +
  'accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control|' +
  'content-disposition|content-encoding|content-language|content-length|content-location|content-range|content-type|' +
  'cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|' +
  'last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|' +
  'server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate';

/** Entry i (1 to 61) is at [i]; entry 0 does not exist. */
export const staticNames: readonly string[] = ['', ...staticText.split('|').map((entry) => entry.split('=')[0] ?? '')];
export const staticValues: readonly string[] = ['', ...staticText.split('|').map((entry) => entry.split('=')[1] ?? '')];
export const staticCount = 61;

/** What one entry counts for besides its text (section 4.1). */
export const entryOverhead = 32;

/** The dynamic table of a decoder: newest entry first, evicted by size. */
export class DynamicTable {
  /** Ring by insertion number: entry n lives at n % capacity. */
  #names: string[] = [];
  #values: string[] = [];
  #inserted = 0;
  #count = 0;
  #size = 0;
  #maxSize: number;
  #capacity: number;

  constructor(maxSize: number) {
    this.#maxSize = maxSize;
    this.#capacity = ringCapacity(maxSize);
  }

  get count(): number {
    return this.#count;
  }

  get size(): number {
    return this.#size;
  }

  get maxSize(): number {
    return this.#maxSize;
  }

  /** Name of the entry `index` places behind the newest (0 = newest); undefined when there is none. */
  name(index: number): string | undefined {
    return index < this.#count ? this.#names[this.#slot(index)] : undefined;
  }

  value(index: number): string | undefined {
    return index < this.#count ? this.#values[this.#slot(index)] : undefined;
  }

  insert(name: string, value: string): void {
    const size = name.length + value.length + entryOverhead;
    this.#evict(this.#maxSize - size);
    // An entry larger than the table empties it and is not kept (section 4.4).
    if (size > this.#maxSize) return;
    const slot = this.#inserted % this.#capacity;
    this.#names[slot] = name;
    this.#values[slot] = value;
    this.#inserted++;
    this.#count++;
    this.#size += size;
  }

  resize(maxSize: number): void {
    this.#evict(maxSize);
    if (ringCapacity(maxSize) > this.#capacity) this.#relay(ringCapacity(maxSize));
    this.#maxSize = maxSize;
  }

  #evict(room: number): void {
    while (this.#count > 0 && this.#size > room) {
      const slot = this.#slot(this.#count - 1);
      this.#size -= (this.#names[slot] as string).length + (this.#values[slot] as string).length + entryOverhead;
      this.#names[slot] = '';
      this.#values[slot] = '';
      this.#count--;
    }
  }

  #slot(index: number): number {
    return (this.#inserted - 1 - index) % this.#capacity;
  }

  /** A larger table needs a longer ring. */
  #relay(capacity: number): void {
    const names: string[] = [];
    const values: string[] = [];
    for (let index = this.#count - 1; index >= 0; index--) {
      names.push(this.#names[this.#slot(index)] as string);
      values.push(this.#values[this.#slot(index)] as string);
    }
    this.#names = names;
    this.#values = values;
    this.#inserted = this.#count;
    this.#capacity = capacity;
  }
}

/** Entries that fit at most: the smallest takes 32. */
function ringCapacity(maxSize: number): number {
  return Math.max(1, Math.floor(maxSize / entryOverhead));
}
