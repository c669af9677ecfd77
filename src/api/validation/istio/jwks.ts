/** JSON Web Key Sets (RFC 7517) as they are written into a RequestAuthentication. */
import { isRecord } from '../../field-view.ts';

interface KeySetFindings {
  readonly problems: readonly string[];
  readonly hasPrivateKey: boolean;
}

/** The members without which a public key of the type is none (RFC 7518, section 6; RFC 8037). */
const members: Readonly<Record<string, readonly string[]>> = {
  RSA: ['n', 'e'],
  EC: ['crv', 'x', 'y'],
  OKP: ['crv', 'x'],
  oct: ['k'],
};

/** Never names a key's members by their value. */
export function jwksProblems(text: string | undefined): KeySetFindings {
  if (text === undefined) return { problems: [], hasPrivateKey: false };
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch {
    return { problems: ['must be a JSON Web Key Set: it is not JSON'], hasPrivateKey: false };
  }
  const keys = isRecord(set) ? set['keys'] : undefined;
  if (!Array.isArray(keys))
    return { problems: ['must be a JSON Web Key Set: it has no list `keys`'], hasPrivateKey: false };
  const list: readonly unknown[] = keys;
  return {
    problems: list.flatMap((key, i) =>
      keyProblems(key).map((problem) => `must be a JSON Web Key Set: keys[${i}] ${problem}`),
    ),
    hasPrivateKey: list.some((key) => isRecord(key) && (key['d'] !== undefined || key['kty'] === 'oct')),
  };
}

function keyProblems(key: unknown): string[] {
  if (!isRecord(key)) return ['is no object'];
  const type = key['kty'];
  const needed = typeof type === 'string' && Object.hasOwn(members, type) ? members[type] : undefined;
  if (!needed) return ['has no type (`kty`) out of RSA, EC, OKP, oct'];
  return needed.filter((name) => typeof key[name] !== 'string' || key[name] === '').map((name) => `has no \`${name}\``);
}
