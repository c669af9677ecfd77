import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shownUrl } from './shown-url.ts';

test('a URL is shown without credentials', () => {
  for (const [url, shown] of [
    ['https://idp.example.com/keys', 'https://idp.example.com/keys'],
    ['https://me:secret@idp.example.com:8443/keys', 'https://[hidden]@idp.example.com:8443/keys'],
    ['https://me@secret@idp.example.com', 'https://[hidden]@idp.example.com'],
    ['https://idp.example.com/keys?p=one&token=a=b#secret', 'https://idp.example.com/keys?p=[hidden]&token=[hidden]'],
    ['https://idp.example.com/?secret', 'https://idp.example.com/?[hidden]'],
    ['https://idp.example.com?x=//me:secret@other', 'https://idp.example.com?x=[hidden]'],
    ['https://idp.example.com/@me', 'https://idp.example.com/@me'],
    ['jwks https://me:secret@idp.example.com/keys', 'jwks https://[hidden]@idp.example.com/keys'],
    ['//me:secret@', '//[hidden]@'],
    ['', ''],
  ] as const) {
    assert.equal(shownUrl(url), shown);
  }
});
