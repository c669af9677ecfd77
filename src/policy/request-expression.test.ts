import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRequestExpression, type ExpressionContext } from './request-expression.ts';

const context: ExpressionContext = {
  request: { method: 'GET', path: '/a/b', headers: { 'x-user': 'ann' } },
  response: { code: 404n },
  source: {},
  destination: {},
  connection: { mtls: true },
  upstream: {},
  upstream_peer: {},
  downstream_peer: {},
  xds: {},
  node: {},
};

const evaluate = (text: string): unknown => compileRequestExpression(text).evaluate(context);

test('attributes are read, compared and put together', () => {
  assert.equal(evaluate('request.method + " " + request.headers["x-user"]'), 'GET ann');
  assert.equal(evaluate('response.code >= 400 && connection.mtls'), true);
  assert.equal(evaluate('has(request.headers.absent) ? "yes" : "no"'), 'no');
});

test('what is not there fails when it is asked for', () => {
  assert.throws(() => evaluate('request.headers["absent"]'), /No such key/);
});

test('what cannot be read is refused with the reason alone', () => {
  assert.throws(() => compileRequestExpression('request.method =='), {
    code: 'policy.bad-expression',
    message: /^Cannot compile the expression "request.method ==": [^\n]+$/,
  });
});

test('attributes of Envoy alone are refused by name', () => {
  assert.throws(
    () => compileRequestExpression('has(metadata.filter_metadata)'),
    /there is no "metadata" in this proxy/,
  );
});

test('a pattern does not backtrack, and a loop ends', () => {
  const path = `/${'a'.repeat(5000)}!`;
  const hostile = compileRequestExpression('request.path.matches("^/(a+)+$")');
  assert.equal(hostile.evaluate({ ...context, request: { path } }), false);
  const list = `[${Array.from({ length: 100 }, (_, i) => i).join(',')}]`;
  const loops = `${list}.all(a, ${list}.all(b, ${list}.all(c, ${list}.all(d, a + b + c + d >= 0))))`;
  assert.throws(() => evaluate(loops), /budget/);
});

test('the work of one request is not charged to the next', () => {
  const list = `[${Array.from({ length: 100 }, (_, i) => i).join(',')}]`;
  const some = compileRequestExpression(`${list}.all(a, a >= 0)`);
  for (let i = 0; i < 500; i++) assert.equal(some.evaluate(context), true);
});
