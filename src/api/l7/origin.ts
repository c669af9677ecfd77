/** Where a piece of L7 configuration comes from: for access logs, `ambit explain` and conditions. */

export interface Origin {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** `metadata.generation`; 0 where the object has none. */
  readonly generation: number;
  /** Field inside the object, as in `spec.http[2]`; absent: the whole object. */
  readonly path?: string;
}

/** Text that a request must have. `regex` is RE2 and matches the whole text. */
export type TextMatch =
  | { readonly kind: 'exact'; readonly value: string }
  | { readonly kind: 'prefix'; readonly value: string }
  | { readonly kind: 'suffix'; readonly value: string }
  | { readonly kind: 'regex'; readonly value: string }
  /** Any text that is not empty; of a header or a query parameter: it is there. */
  | { readonly kind: 'present' };
