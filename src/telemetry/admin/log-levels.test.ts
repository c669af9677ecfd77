import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLog } from '../../lib/log.ts';
import { createLogLevels, withoutForeignScopes } from './log-levels.ts';

test('log levels change by scope while the process runs', () => {
  const lines: string[] = [];
  const levels = createLogLevels(
    openLog({ scope: 'z', level: 'debug', write: (line) => void lines.push(line) }),
    'info',
  );
  let changes = 0;
  const forget = levels.onChange(() => changes++);
  const child = levels.log.child('zds');
  child.debug('a');
  assert.equal(levels.set('warn,zds:debug'), undefined);
  child.debug('b');
  levels.log.info('c');
  assert.equal(levels.describe(), 'warn,zds:debug');
  levels.reset();
  child.debug('d');
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { message: string }).message),
    ['b'],
  );
  assert.equal(changes, 2);
  forget();
  levels.set('debug');
  assert.equal(changes, 2);
});

test('one level of many that is unknown leaves all as they were', () => {
  const levels = createLogLevels(openLog({ scope: 'z', write: () => {} }), 'warn,access:info');
  assert.match(levels.set('debug,zds:loud') ?? '', /Unknown level "loud"/);
  assert.match(levels.check('') ?? '', /Unknown level ""/);
  assert.equal(levels.describe(), 'warn,access:info');
});

test('the words and scopes of istioctl and of RUST_LOG are understood', () => {
  const levels = createLogLevels(
    openLog({ scope: 'z', write: () => {} }),
    'hickory_server::server::server_future=off,info',
  );
  assert.equal(levels.describe(), 'info,server_future:silent');
  assert.equal(levels.set('warning,ztunnel::proxy::access:trace,dns=critical'), undefined);
  assert.equal(levels.levelOf('access'), 'debug');
  assert.equal(levels.levelOf('dns.forwarder'), 'error');
  assert.equal(levels.levelOf('other'), 'warn');
});

test('a scope that the process does not have is refused, naming those that it has', () => {
  const known = { process: 'z', names: ['access', 'data', 'data.pool', 'zds'] };
  const levels = createLogLevels(openLog({ scope: 'z', write: () => {} }), 'info', known);
  for (const word of ['dsz', 'toString', 'pool.data', 'dat']) {
    assert.equal(levels.set(`info,${word}:debug`), `Unknown scope "${word}": there are access, data, data.pool, zds`);
  }
  assert.equal(levels.describe(), 'info');
  const described = (text: string): string => {
    levels.reset();
    assert.equal(levels.set(text), undefined, text);
    return levels.describe();
  };
  assert.equal(described('data:debug'), 'info,data:debug');
  assert.equal(described('pool:debug'), 'info,data.pool:debug', 'its last part will do');
  assert.equal(described('z.data.pool=debug'), 'info,data.pool:debug', 'as the lines of the log have it');
  assert.equal(described('z:warn,ztunnel::zds=debug'), 'warn,zds:debug', 'the process is all of them');
  assert.throws(() => createLogLevels(levels.log, 'nothing:debug', known), /Unknown scope "nothing"/);
});

test('what is written for another program loses its foreign scopes, and nothing else', () => {
  const known = { process: 'z', names: ['access'] };
  const given = 'hickory_server::server::server_future=off,info,access=warn,loud';
  assert.equal(withoutForeignScopes(given, known), 'info,access=warn,loud');
});
