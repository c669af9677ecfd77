/** Values of a dump that may come from any version of any ztunnel: taken as they are, absent where they are not. */

export type Fields = Readonly<Record<string, unknown>>;

export function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

/** Lists; of older ztunnels' maps the values. */
export function list(value: unknown): readonly Fields[] {
  if (Array.isArray(value)) return value as Fields[];
  return typeof value === 'object' && value !== null ? Object.values(value as Record<string, Fields>) : [];
}

export function text(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value)) return value.map(text).join(',');
  return typeof value === 'object' ? JSON.stringify(value) : String(value as string | number | boolean);
}

/** A serial number as logs, metrics and openssl write it: dumps have it in decimal, as upstream's. */
export function serialText(value: unknown): string {
  const serial = text(value);
  return /^\d+$/.test(serial) ? BigInt(serial).toString(16) : serial;
}
