/** Static bearer tokens, read again whenever their file changes. */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { codeOf, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { authenticatedGroup, type User } from './user.ts';

export interface StaticTokens {
  find(token: string): User | undefined;
  /** A token for `user` that no file holds and that ends with this process. */
  issue(user: User): string;
}

/**
 * Tokens of `path`, a JSON list of `{token, user, groups}`. A missing file holds no tokens; a file that cannot be read
 * keeps the tokens of before and is logged once.
 */
export function openStaticTokens(path: string, log: Log): StaticTokens {
  let users: ReadonlyMap<string, User> = new Map();
  const issued = new Map<string, User>();
  let seen = '';
  const refresh = (): void => {
    try {
      const { mtimeNs, ino, size } = statSync(path, { bigint: true });
      const stamp = `${mtimeNs}/${ino}/${size}`;
      if (stamp === seen) return;
      seen = stamp;
      users = parseTokens(readFileSync(path, 'utf8'));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') {
        users = new Map();
        seen = '';
      } else log.warn('Cannot read the token file', { path, error: messageOf(error) });
    }
  };
  return {
    find(token) {
      refresh();
      const key = digest(token);
      return issued.get(key) ?? users.get(key);
    },
    issue(user) {
      const token = randomBytes(32).toString('base64url');
      issued.set(digest(token), user);
      return token;
    },
  };
}

/** By digest, so that a lookup's time tells nothing about a token. */
function parseTokens(text: string): ReadonlyMap<string, User> {
  const users = new Map<string, User>();
  const entries: unknown = JSON.parse(text);
  if (!Array.isArray(entries)) throw new Error('the file holds no list');
  for (const entry of entries as Record<string, unknown>[]) {
    const { token, user, groups } = entry;
    if (typeof token !== 'string' || token.length < 16 || typeof user !== 'string')
      throw new Error('an entry lacks token or user');
    const names = Array.isArray(groups) ? groups.filter((group) => typeof group === 'string') : [];
    users.set(digest(token), { username: user, groups: [...names, authenticatedGroup] });
  }
  return users;
}

function digest(token: string): string {
  return createHash('sha256').update(token).digest('base64');
}
