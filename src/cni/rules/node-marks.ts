/** The secret marks of a node's pods: derived from a secret that survives the agent, because rules and proxies do too. */
import { createHmac, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { codeOf, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { markMask, returnMark, wellKnownMark } from './pod-rule-set.ts';

interface Stored {
  /** Hexadecimal. */
  readonly secret: string;
  readonly plain: boolean;
}

export interface NodeMarks {
  /** Of a pod by its UID; the same as long as the file is there. */
  of(podUid: string): number;
  /** Whether a proxy of this node uses Istio's well-known mark, as far as is known. */
  readonly plain: boolean;
  setPlain(plain: boolean): void;
}

/** Opens the file, which only its owner may read, or makes it. Without one on disk marks last as long as the process. */
export function openNodeMarks({ path, log }: { readonly path: string; readonly log: Log }): NodeMarks {
  // Until a proxy says otherwise it may be one that knows no other mark.
  let stored = read(path, log) ?? { secret: randomBytes(32).toString('hex'), plain: true };
  const save = (): void => {
    try {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(`${path}.new`, JSON.stringify(stored), { mode: 0o600 });
      renameSync(`${path}.new`, path);
    } catch (error) {
      log.warn('cannot keep the secret of packet marks', { path, error: messageOf(error) });
    }
  };
  save();
  return {
    of: (podUid) => podMark(stored.secret, podUid),
    get plain() {
      return stored.plain;
    },
    setPlain(plain) {
      if (plain === stored.plain) return;
      stored = { ...stored, plain };
      save();
    },
  };
}

/** 32 bits that look like neither of the well-known marks. */
export function podMark(secret: string, podUid: string): number {
  for (let round = 0; ; round++) {
    const mark = createHmac('sha256', Buffer.from(secret, 'hex')).update(`${round} ${podUid}`).digest().readUInt32BE(0);
    const low = mark & markMask;
    if (mark > markMask && low !== wellKnownMark && low !== returnMark) return mark;
  }
}

function read(path: string, log: Log): Stored | undefined {
  try {
    const { secret, plain } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Stored>;
    if (typeof secret === 'string' && /^[0-9a-f]{64}$/.test(secret)) return { secret, plain: plain !== false };
    log.warn('the secret of packet marks is not readable: pods get new ones', { path });
  } catch (error) {
    if (codeOf(error) !== 'ENOENT')
      log.warn('the secret of packet marks is not readable: pods get new ones', { path, error: messageOf(error) });
  }
  return undefined;
}
