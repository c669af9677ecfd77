/** `additionalPrinterColumns` as columns of a table (`apiextensions-apiserver/pkg/registry/customresource/tableconvertor`). */
import { ageSince } from '../columns/age.ts';
import { ageColumn, nameColumn } from '../columns/columns.ts';
import type { Column } from '../kind-info.ts';
import type { KubeObject } from '../meta.ts';
import type { PrinterColumn } from './custom-kind.ts';
import { tryParseJsonPath } from './json-path.ts';

/** The name first; the age after it where a definition names no columns at all. */
export function columnsOf(defined: readonly PrinterColumn[] | undefined): readonly Column[] {
  return [nameColumn, ...(defined && defined.length > 0 ? defined.map(columnOf) : [ageColumn])];
}

function columnOf({ name, type, format, description, jsonPath, priority = 0 }: PrinterColumn): Column {
  const find = tryParseJsonPath(jsonPath);
  return {
    name,
    // A date is shown as an age, which is text.
    type: type === 'date' ? 'date' : type,
    ...(format !== undefined && { format }),
    description: description ?? `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    priority,
    // As the simple paths they are: the first of what they find.
    cell: (object: KubeObject, nowMs) => cellOf(find?.(object)[0], type, nowMs),
  };
}

function cellOf(value: unknown, type: PrinterColumn['type'], nowMs: number): string | number | boolean | null {
  if (value === undefined || value === null) return null;
  switch (type) {
    case 'string':
      return typeof value === 'string' ? value : JSON.stringify(value);
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date':
      return typeof value === 'string' ? ageSince(value, nowMs) : null;
  }
}
