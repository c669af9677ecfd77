import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { describe, test } from 'node:test';
import { AmbitError } from '../../lib/errors.ts';
import type { FoundAddress } from '../../net/index.ts';
import { dialRequested } from './requested-dial.ts';

async function* found(...addresses: string[]): AsyncGenerator<FoundAddress, void> {
  for (const [i, address] of addresses.entries()) yield { address, left: addresses.length - 1 - i };
}

/** What was dialled, with its share of the time; `reaches` says which address answers. */
function dialing(
  addresses: AsyncIterable<FoundAddress>,
  reaches: (address: string) => boolean,
  signal: AbortSignal = new AbortController().signal,
): { readonly dialled: string[]; readonly result: Promise<string> } {
  const dialled: string[] = [];
  const result = dialRequested({
    hostname: 'a.example.com',
    addresses,
    refusal: (address) => (address.startsWith('169.254.') ? 'it is link-local' : undefined),
    dial: (address, timeoutMs) => {
      dialled.push(`${address} ${timeoutMs}`);
      return reaches(address) ? Promise.resolve(new Socket()) : Promise.reject(new Error(`${address} is down`));
    },
    timeoutMs: 10_000,
    signal,
  });
  return { dialled, result: result.then(({ socket, ip }) => (socket.destroy(), ip)) };
}

describe('a host that a client named', () => {
  test('is dialled at its addresses in turn, each of which gets a share of the time', async () => {
    const { dialled, result } = dialing(found('192.0.2.1', '2001:db8::1'), (address) => address.includes(':'));
    assert.equal(await result, '2001:db8::1');
    assert.deepEqual(dialled, ['192.0.2.1 5000', '2001:db8::1 5000']);
    const alone = dialing(found('192.0.2.1'), () => true);
    await alone.result;
    assert.deepEqual(alone.dialled, ['192.0.2.1 10000']);
  });

  test('is not dialled at more than four of them; the last says what is wrong', async () => {
    const many = Array.from({ length: 100 }, (_, i) => `192.0.2.${i}`);
    const { dialled, result } = dialing(found(...many), () => false);
    await assert.rejects(result, { message: '192.0.2.3 is down' });
    assert.deepEqual(dialled.length, 4);
  });

  test('is not dialled at an address that is refused, and at another one if there is one', async () => {
    const { dialled, result } = dialing(found('169.254.169.254', '192.0.2.1'), () => true);
    assert.equal(await result, '192.0.2.1');
    assert.deepEqual(dialled, ['192.0.2.1 10000']);
    const none = dialing(found('169.254.169.254', '169.254.0.1'), () => true);
    await assert.rejects(none.result, {
      code: 'upstream.address-refused',
      message: /a\.example\.com: its addresses must not be dialled: 169\.254\.169\.254: it is link-local/,
    });
    assert.deepEqual(none.dialled, []);
    // What is refused is looked at without an end no more than what is dialled.
    const endless = dialing(found(...Array.from({ length: 1000 }, () => '169.254.0.1'), '192.0.2.1'), () => true);
    await assert.rejects(endless.result, { code: 'upstream.address-refused' });
  });

  test('that has no address is told apart from one that does not answer', async () => {
    const nothing = {
      [Symbol.asyncIterator]: () => ({
        next: () =>
          Promise.reject(
            new AmbitError('Cannot resolve "a.example.com": no A record', {
              code: 'outbound.name-not-resolved',
              blame: 'upstream',
            }),
          ),
      }),
    };
    await assert.rejects(dialing(nothing, () => true).result, {
      code: 'upstream.name-not-resolved',
      message: 'Cannot resolve "a.example.com": no A record',
    });
  });

  test('is dialled no more once nobody waits for it', async () => {
    const abort = new AbortController();
    const { dialled, result } = dialing(
      found('192.0.2.1', '192.0.2.2'),
      () => {
        abort.abort();
        return false;
      },
      abort.signal,
    );
    await assert.rejects(result, { message: '192.0.2.1 is down' });
    assert.equal(dialled.length, 1);
  });
});
