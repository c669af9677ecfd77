/** The SQLite file behind the store: every object as JSON, the past events in which watches resume, and the last revision. */
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

/** One state of an object, by the revision that made it. */
export interface StateRow {
  readonly revision: number;
  /** `state`: only there as what a later event changed. */
  readonly kind: 'added' | 'modified' | 'deleted' | 'state';
  readonly resource: string;
  readonly json: string;
  /** Of the state before; 0 for none. */
  readonly previous: number;
}

export interface Change {
  readonly kind: 'added' | 'modified' | 'deleted';
  readonly revision: number;
  /** For `deleted`: the last state. */
  readonly row: Row;
  readonly previous?: { readonly revision: number; readonly json: string };
}

export interface Database {
  /** The last committed revision; 0 when new. */
  readRevision(): number;
  readAll(): Row[];
  /** Past states in the order of their revisions. */
  readHistory(): StateRow[];
  /** Events at or before this revision are gone. */
  readCompacted(): number;
  /** Writes all or nothing, durable when it returns (WAL with synchronous=FULL). Throws `apiserver.storage`. */
  commit(changes: readonly Change[], revision: number, compacted: number): void;
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
  CREATE TABLE IF NOT EXISTS state (
    revision INTEGER PRIMARY KEY, kind TEXT NOT NULL, resource TEXT NOT NULL, json TEXT NOT NULL,
    previous INTEGER NOT NULL
  );
  CREATE TABLE IF NOT EXISTS revision (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL);
  INSERT OR IGNORE INTO revision VALUES (1, 0);
  CREATE TABLE IF NOT EXISTS compaction (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL);
  INSERT OR IGNORE INTO compaction SELECT 1, value FROM revision;
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
  const addState = db.prepare('INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?, ?)');
  // The state before an event may have left the window long ago; the event is worth nothing without it.
  const keepState = db.prepare("INSERT OR IGNORE INTO state VALUES (?, 'state', ?, ?, 0)");
  const setCompacted = db.prepare('UPDATE compaction SET value = ? WHERE id = 1');
  const forget = db.prepare(
    'DELETE FROM state WHERE revision <= ?1 AND revision NOT IN (SELECT previous FROM state WHERE revision > ?1)',
  );
  const valueOf = (table: string): number => Number(db.prepare(`SELECT value FROM ${table}`).get()?.['value'] ?? 0);
  let compacted = valueOf('compaction');

  const write = ({ kind, revision, row, previous }: Change): void => {
    if (kind === 'deleted') remove.run(row.resource, row.namespace, row.name);
    else put.run(row.resource, row.namespace, row.name, row.json);
    if (previous) keepState.run(previous.revision, row.resource, previous.json);
    addState.run(revision, kind, row.resource, row.json, previous?.revision ?? 0);
  };

  return {
    readRevision: () => valueOf('revision'),
    readCompacted: () => compacted,
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
    readHistory: () =>
      db
        .prepare('SELECT revision, kind, resource, json, previous FROM state ORDER BY revision')
        .all()
        .map((row) => ({
          revision: Number(row['revision']),
          kind: String(row['kind']) as StateRow['kind'],
          resource: String(row['resource']),
          json: String(row['json']),
          previous: Number(row['previous']),
        })),
    commit(changes, revision, upTo) {
      guard('write', () => {
        db.exec('BEGIN IMMEDIATE');
        try {
          for (const change of changes) write(change);
          setRevision.run(revision);
          if (upTo > compacted) {
            setCompacted.run(upTo);
            forget.run(upTo);
          }
          db.exec('COMMIT');
          compacted = upTo;
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
