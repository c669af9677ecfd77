import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AmbitError, codeOf, messageOf, unreachable } from './errors.ts';

describe('errors', () => {
  it('carry a code, a blame and a cause', () => {
    const cause = new Error('low');
    const error = new AmbitError('Cannot do it', { code: 'test.reason', blame: 'upstream', cause });
    assert.equal(codeOf(error), 'test.reason');
    assert.equal(error.blame, 'upstream');
    assert.equal(error.cause, cause);
    assert.equal('cause' in new AmbitError('x', { code: 'a.b', blame: 'internal' }), false);
  });

  it('have a message of one line, whatever was thrown', () => {
    assert.equal(messageOf(new Error('first\n  second')), 'first second');
    assert.equal(messageOf(new TypeError()), 'TypeError');
    assert.equal(messageOf('text'), 'text');
    assert.equal(messageOf(undefined), 'undefined');
  });

  it('have no code unless it is a text', () => {
    assert.equal(codeOf(null), undefined);
    assert.equal(codeOf({ code: 3 }), undefined);
    assert.equal(codeOf(new Error('x')), undefined);
  });

  it('tell an impossible value', () => {
    assert.throws(() => unreachable({ kind: 'new' } as never), /Unexpected value: \{"kind":"new"\}/);
  });
});
