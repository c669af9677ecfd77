/** The SQLite file behind the store: every object as JSON, and the last revision. */
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { AmbitError, messageOf } from '../../lib/errors.ts';

export interface Row {
  /** `<group>/<plural>` */
  readonly resource: string;
  /** "" for cluster-scoped kinds. */
  readonly namespace: string;
  readonly name: string;
  readonly json: string;
}

export type Change =
  | { readonly kind: 'put'; readonly row: Row }
  | { readonly kind: 'delete'; readonly row: Omit<Row, 'json'> };

export interface Database {
  /** The last committed revision; 0 when new. */
  readRevision(): number;
  readAll(): Row[];
  /** Writes all or nothing, durable when it returns (WAL with synchronous=FULL). Throws `apiserver.storage`. */
  commit(changes: readonly Change[], revision: number): void;
  close(): void;
}

/** Exclusive: two servers on one file would each trust their own memory. The lock ends with the process, also by kill -9. */
const schema = `
  PRAGMA busy_timeout = 5000;
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS object (
    resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, json TEXT NOT NULL,
    PRIMARY KEY (resource, namespace, name)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS revision (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL);
  INSERT OR IGNORE INTO revision VALUES (1, 0);
`;

/** Opens or creates the file at `path` (`:memory:` in tests). The caller closes it. Throws `apiserver.storage`. */
export function openDatabase(path: string): Database {
  const db = guard(`open ${path}`, () => {
    // Secrets are in it. SQLite gives its WAL the mode of the database.
    if (path !== ':memory:') closeSync(openSync(path, 'a', 0o600));
    const opened = new DatabaseSync(path);
    opened.exec(schema);
    return opened;
  });
  const put = db.prepare('INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?)');
  const remove = db.prepare('DELETE FROM object WHERE resource = ? AND namespace = ? AND name = ?');
  const setRevision = db.prepare('UPDATE revision SET value = ? WHERE id = 1');

  return {
    readRevision: () => Number(db.prepare('SELECT value FROM revision WHERE id = 1').get()?.['value'] ?? 0),
    readAll: () =>
      db
        .prepare('SELECT resource, namespace, name, json FROM object')
        .all()
        .map((row) => ({
          resource: String(row['resource']),
          namespace: String(row['namespace']),
          name: String(row['name']),
          json: String(row['json']),
        })),
    commit(changes, revision) {
      guard('write', () => {
        db.exec('BEGIN IMMEDIATE');
        try {
          for (const { kind, row } of changes) {
            if (kind === 'put') put.run(row.resource, row.namespace, row.name, row.json);
            else remove.run(row.resource, row.namespace, row.name);
          }
          setRevision.run(revision);
          db.exec('COMMIT');
        } catch (error) {
          // A failed COMMIT (disk full) may have rolled back by itself already.
          if (db.isTransaction) db.exec('ROLLBACK');
          throw error;
        }
      });
    },
    close: () => db.close(),
  };
}

function guard<T>(action: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw new AmbitError(`Cannot ${action} the API database: ${messageOf(error)}`, {
      code: 'apiserver.storage',
      blame: 'internal',
      cause: error,
    });
  }
}
