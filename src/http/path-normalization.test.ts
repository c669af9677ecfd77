import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { normalizePath, type PathNormalization } from './path-normalization.ts';

const modes: readonly PathNormalization[] = ['none', 'base', 'merge-slashes', 'decode-and-merge-slashes'];

/** Path, then what each mode makes of it, in the order of `modes`. */
const table: readonly (readonly [string, string, string, string, string])[] = [
  ['/', '/', '/', '/', '/'],
  ['/app', '/app', '/app', '/app', '/app'],
  ['/app#foo', '/app', '/app', '/app', '/app'],
  ['/app?a=b#foo', '/app?a=b', '/app?a=b', '/app?a=b', '/app?a=b'],
  ['/app#foo?a=b', '/app', '/app', '/app', '/app'],
  ['/app/%2E./admin', '/app/%2E./admin', '/admin', '/admin', '/admin'],
  ['/app/%2e%2E/admin', '/app/%2e%2E/admin', '/admin', '/admin', '/admin'],
  ['/app//../admin', '/app//../admin', '/app/admin', '/app/admin', '/app/admin'],
  ['/app/../../../admin', '/app/../../../admin', '/admin', '/admin', '/admin'],
  ['/app/./admin/.', '/app/./admin/.', '/app/admin/', '/app/admin/', '/app/admin/'],
  ['/app/admin/..', '/app/admin/..', '/app/', '/app/', '/app/'],
  ['/..', '/..', '/', '/', '/'],
  ['/...', '/...', '/...', '/...', '/...'],
  ['/app/.../admin', '/app/.../admin', '/app/.../admin', '/app/.../admin', '/app/.../admin'],
  ['/app/.hidden', '/app/.hidden', '/app/.hidden', '/app/.hidden', '/app/.hidden'],
  ['/app\\admin', '/app\\admin', '/app/admin', '/app/admin', '/app/admin'],
  ['/app\\..\\admin', '/app\\..\\admin', '/admin', '/admin', '/admin'],
  ['/app/\\/\\/\\admin', '/app/\\/\\/\\admin', '/app//////admin', '/app/admin', '/app/admin'],
  ['/app//admin', '/app//admin', '/app//admin', '/app/admin', '/app/admin'],
  ['//app///admin//', '//app///admin//', '//app///admin//', '/app/admin/', '/app/admin/'],
  ['/app%2fadmin', '/app%2fadmin', '/app%2fadmin', '/app%2fadmin', '/app/admin'],
  ['/app%2Fadmin', '/app%2Fadmin', '/app%2Fadmin', '/app%2Fadmin', '/app/admin'],
  ['/app%5Cadmin', '/app%5Cadmin', '/app%5Cadmin', '/app%5Cadmin', '/app/admin'],
  ['/app%5cadmin', '/app%5cadmin', '/app%5cadmin', '/app%5cadmin', '/app/admin'],
  [
    '/%2Fapp%5cadmin%5Cabc',
    '/%2Fapp%5cadmin%5Cabc',
    '/%2Fapp%5cadmin%5Cabc',
    '/%2Fapp%5cadmin%5Cabc',
    '/app/admin/abc',
  ],
  ['/app/%2f..%2fadmin', '/app/%2f..%2fadmin', '/app/%2f..%2fadmin', '/app/%2f..%2fadmin', '/app/admin'],
  ['/%c0%2fadmin', '/%c0%2fadmin', '/%c0%2fadmin', '/%c0%2fadmin', '/%c0/admin'],
  ['/%c0%ae%c0%ae/admin', '/%c0%ae%c0%ae/admin', '/%c0%ae%c0%ae/admin', '/%c0%ae%c0%ae/admin', '/%c0%ae%c0%ae/admin'],
  ['/app%252fadmin', '/app%252fadmin', '/app%252fadmin', '/app%252fadmin', '/app%252fadmin'],
  ['/%252e%252e/admin', '/%252e%252e/admin', '/%252e%252e/admin', '/%252e%252e/admin', '/%252e%252e/admin'],
  ['/%61%70p/%7e%2D%5f', '/%61%70p/%7e%2D%5f', '/app/~-_', '/app/~-_', '/app/~-_'],
  ['/%20%3b%3B', '/%20%3b%3B', '/%20%3b%3B', '/%20%3b%3B', '/%20%3b%3B'],
  ['/app;a=b/..;/admin', '/app;a=b/..;/admin', '/app;a=b/..;/admin', '/app;a=b/..;/admin', '/app;a=b/..;/admin'],
  ['/App/ADMIN', '/App/ADMIN', '/App/ADMIN', '/App/ADMIN', '/App/ADMIN'],
  ['/app?q=/../%2e//\\', '/app?q=/../%2e//\\', '/app?q=/../%2e//\\', '/app?q=/../%2e//\\', '/app?q=/../%2e//\\'],
  ['/app/..?q', '/app/..?q', '/?q', '/?q', '/?q'],
  ['/%', '/%', '/%', '/%', '/%'],
  ['/%zz/%4', '/%zz/%4', '/%zz/%4', '/%zz/%4', '/%zz/%4'],
  // A backend that decodes must not find an escape that nobody has looked into.
  ['/%2%65%2%65/admin', '/%2%65%2%65/admin', '/%2%65%2%65/admin', '/%2%65%2%65/admin', '/%2%65%2%65/admin'],
  ['/%%32%65', '/%%32%65', '/%%32e', '/%%32e', '/%%32e'],
  ['*', '*', '*', '*', '*'],
  ['', '', '', '', ''],
];

describe('path normalisation', () => {
  for (const [path, ...expected] of table) {
    it(`makes of ${path || 'an empty path'} what each mode says`, () => {
      assert.deepEqual(
        modes.map((mode) => normalizePath(path, mode)),
        expected,
      );
    });
  }

  it('refuses a NUL in the path in every mode, not in the query', () => {
    for (const mode of modes) {
      assert.equal(normalizePath('/app%00/admin', mode), undefined);
      assert.equal(normalizePath('/%00', mode), undefined);
      assert.equal(normalizePath('/app?a=%00', mode), '/app?a=%00');
      assert.equal(normalizePath('/app%2500', mode), '/app%2500');
    }
  });

  const nasty = fc
    .array(
      fc.constantFrom(
        '/',
        '\\',
        '.',
        '..',
        '%',
        '%2',
        '%2e',
        '%2E',
        '%2f',
        '%5C',
        '%65',
        '%32',
        '%41',
        'e',
        '2',
        'a',
        ';',
        '%25',
      ),
      { maxLength: 12 },
    )
    .map((parts) => `/${parts.join('')}`);

  it('is done after one time', () => {
    fc.assert(
      fc.property(nasty, fc.constantFrom(...modes), (path, mode) => {
        const once = normalizePath(path, mode) as string;
        assert.equal(normalizePath(once, mode), once);
      }),
      { seed: 7, numRuns: 2000 },
    );
  });

  it('leaves no dot segment for a backend that decodes once, nor more slashes than it says', () => {
    fc.assert(
      fc.property(nasty, (path) => {
        const segments = (text: string): string[] => text.replaceAll(/%2e/gi, '.').split('/');
        const base = normalizePath(path, 'base') as string;
        const decoded = normalizePath(path, 'decode-and-merge-slashes') as string;
        for (const text of [base, decoded]) {
          assert.ok(!segments(text).some((segment) => segment === '.' || segment === '..'), text);
          assert.ok(!text.includes('\\'), text);
        }
        assert.ok(!/\/\/|%2f|%5c/i.test(decoded), decoded);
      }),
      { seed: 8, numRuns: 2000 },
    );
  });
});
