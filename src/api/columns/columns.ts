/** Building the columns of tables. */
import type { Column, KindInfo } from '../kind-info.ts';
import type { KubeObject } from '../meta.ts';
import { ageSince } from './age.ts';

type Cell<T extends KubeObject> = Column<T>['cell'];

export const nameColumn: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name must be unique within a namespace.',
  priority: 0,
  cell: (object) => object.metadata.name ?? '',
};

export const ageColumn: Column = {
  name: 'Age',
  type: 'string',
  description: 'Time since the object was created.',
  priority: 0,
  cell: (object, nowMs) => ageSince(object.metadata.creationTimestamp, nowMs),
};

export function column<T extends KubeObject>(name: string, description: string, cell: Cell<T>): Column<T> {
  return { name, type: 'string', description, priority: 0, cell };
}

/** A column of `-o wide`. */
export function wide<T extends KubeObject>(name: string, description: string, cell: Cell<T>): Column<T> {
  return { name, type: 'string', description, priority: 1, cell };
}

export function count<T extends KubeObject>(name: string, description: string, cell: Cell<T>): Column<T> {
  return { name, type: 'integer', description, priority: 0, cell };
}

export function orNone(text: string | undefined): string {
  return text === undefined || text === '' ? '<none>' : text;
}

/** `meta.k8s.io/v1` Table without its objects: column definitions, and the cells of each object. */
export interface TableParts {
  readonly columnDefinitions: readonly {
    name: string;
    type: string;
    format: string;
    description: string;
    priority: number;
  }[];
  readonly rows: readonly { readonly cells: readonly (string | number | boolean | null)[] }[];
}

/** A cell that fails on a malformed object is empty; the table is still printed. */
export function tableOf(kind: Pick<KindInfo, 'columns'>, objects: readonly KubeObject[], nowMs: number): TableParts {
  return {
    columnDefinitions: kind.columns.map(({ name, type, format, description, priority }) => ({
      name,
      type,
      format: format ?? '',
      description,
      priority,
    })),
    rows: objects.map((object) => ({ cells: kind.columns.map((each) => cellOf(each, object, nowMs)) })),
  };
}

function cellOf(each: Column, object: KubeObject, nowMs: number): string | number | boolean | null {
  try {
    return each.cell(object, nowMs);
  } catch {
    return null;
  }
}
