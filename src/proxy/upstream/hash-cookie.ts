/** The cookie by which consistent hashing remembers a client that has none yet. */
import { hashText } from '../../decision/balance/index.ts';

export interface HashCookie {
  readonly hash: number;
  /** Value of the Set-Cookie field. */
  readonly header: string;
}

export function hashCookie(
  { name, path, ttlSeconds }: { readonly name: string; readonly path?: string; readonly ttlSeconds: number },
  random: () => number,
): HashCookie {
  const part = (): string =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  const value = part() + part();
  const attributes = [
    `${name}="${value}"`,
    ...(ttlSeconds > 0 ? [`Max-Age=${ttlSeconds}`] : []),
    ...(path === undefined ? [] : [`Path=${path}`]),
    'HttpOnly',
  ];
  return { hash: hashText(value), header: attributes.join('; ') };
}
