/** Reading an unchecked JSON value by path: what has the wrong type reads as absent, so that validators never trip over it. */

export interface FieldView {
  readonly path: string;
  readonly value: unknown;
  /** Neither absent nor null. */
  readonly exists: boolean;
  readonly text: string | undefined;
  readonly number: number | undefined;
  readonly boolean: boolean | undefined;
  /** The field `name` of an object. */
  at(name: string): FieldView;
  /** The elements of a list; none when it is no list. */
  items(): FieldView[];
  /** The entries of a map, with paths like `spec.portLevelMtls[80]`; none when it is no object. */
  entries(): [string, FieldView][];
}

export function viewOf(value: unknown, path = ''): FieldView {
  return {
    path,
    value,
    exists: value !== undefined && value !== null,
    text: typeof value === 'string' ? value : undefined,
    number: typeof value === 'number' ? value : undefined,
    boolean: typeof value === 'boolean' ? value : undefined,
    at: (name) =>
      viewOf(
        isRecord(value) && Object.hasOwn(value, name) ? value[name] : undefined,
        path === '' ? name : `${path}.${name}`,
      ),
    items: () => (Array.isArray(value) ? value.map((item: unknown, i) => viewOf(item, `${path}[${i}]`)) : []),
    entries: () =>
      isRecord(value) ? Object.entries(value).map(([key, item]) => [key, viewOf(item, `${path}[${key}]`)]) : [],
  };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
