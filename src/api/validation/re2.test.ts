import assert from 'node:assert/strict';
import { it } from 'node:test';
import { re2Problems } from './re2.ts';

it('takes what RE2 takes', () => {
  for (const source of [
    '',
    '.*',
    '/api/v[0-9]+/(users|items)',
    '(?i)abc',
    '(?P<name>a+?)\\b',
    '\\d{1,3}',
    '[^/]+',
    '\\pL',
    'a{1000}',
  ]) {
    assert.deepEqual(re2Problems(source), [], source);
  }
});

it('refuses what RE2 refuses', () => {
  for (const source of [
    '(?=a)',
    '(?!a)',
    '(?<=a)b',
    '(?<!a)b',
    '(a)\\1',
    '(?P=name)',
    'a++',
    'a*+',
    '(?>a)',
    '[',
    '(',
    '*',
    'a{2,1}',
    'a{1001}',
    '\\',
  ]) {
    const [problem = ''] = re2Problems(source);
    assert.match(problem, /^must be a regular expression in RE2's syntax: error parsing regexp: /, source);
  }
});

it('refuses what is too long', () => {
  assert.deepEqual(re2Problems('x'.repeat(1024)), []);
  assert.deepEqual(re2Problems('x'.repeat(1025)), ['a regular expression may have at most 1024 characters']);
});
