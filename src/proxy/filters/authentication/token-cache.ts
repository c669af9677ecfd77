/** Tokens that were verified: a signature costs a hundred times what the rest of a request does. */
import { hash } from 'node:crypto';
import type { VerifiedJwt } from '../../../policy/jwt-rule.ts';

/** Text of all tokens of one rule together: what is kept of a token is a few times its text. */
const maxTextLength = 2 * 1024 * 1024;

/** A token is known by its hash: a dump of memory does not show it. */
export function tokenHash(text: string): string {
  return hash('sha256', text, 'base64');
}

export class TokenCache {
  readonly #tokens = new Map<string, { readonly token: VerifiedJwt; readonly length: number }>();
  #textLength = 0;

  get size(): number {
    return this.#tokens.size;
  }

  /** Never one that has expired. */
  get(tokenHash: string, nowMs: number): VerifiedJwt | undefined {
    const kept = this.#tokens.get(tokenHash);
    if (!kept) return undefined;
    if (nowMs <= kept.token.untilMs) return kept.token;
    this.#remove(tokenHash, kept.length);
    return undefined;
  }

  /** The oldest go when there are too many. `length`: of the token's text. */
  set(tokenHash: string, token: VerifiedJwt, length: number): void {
    if (this.#tokens.has(tokenHash)) return;
    this.#tokens.set(tokenHash, { token, length });
    this.#textLength += length;
    for (const [oldest, kept] of this.#tokens) {
      if (this.#textLength <= maxTextLength) break;
      this.#remove(oldest, kept.length);
    }
  }

  #remove(tokenHash: string, length: number): void {
    this.#tokens.delete(tokenHash);
    this.#textLength -= length;
  }
}
