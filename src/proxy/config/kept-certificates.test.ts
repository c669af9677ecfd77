import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { TlsSecret } from '../../api/l7/index.ts';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { createTestAuthority } from '../../../test/support/certificates.ts';
import { decodeProxyResource, encodeProxyResource, proxyResourceName, resourceVersion } from '../../wire/index.ts';
import type { DeltaFeed } from '../../xds/index.ts';
import { keepCertificates } from './kept-certificates.ts';

const day = 24 * 3600_000;

describe('a certificate that the control plane knows no good one of', () => {
  const clock = createFakeClock(Date.now());
  let told: Map<string, TlsSecret>;
  let feed: DeltaFeed;
  let good: TlsSecret;
  let other: TlsSecret;

  beforeEach(async () => {
    told = new Map();
    feed = keepCertificates(
      {
        typeUrl: 'test',
        apply({ added, removed }) {
          for (const { name, body } of added) told.set(name, decodeProxyResource(name, body) as TlsSecret);
          for (const name of removed) told.delete(name);
          return { rejected: [] };
        },
      },
      clock,
    );
    const authority = await createTestAuthority();
    const secretOf = async (account: string): Promise<TlsSecret> => {
      const { chainPem, key } = await authority.certificate(account);
      const privateKey = key.export({ type: 'pkcs8', format: 'pem' }).toString();
      return { kind: 'secret', name: 'shop/cert', certificateChain: chainPem.join(''), privateKey };
    };
    [good, other] = [await secretOf('shop/a'), await secretOf('shop/b')];
  });

  const tell = (secret: TlsSecret): TlsSecret | undefined => {
    const name = proxyResourceName(secret);
    const body = encodeProxyResource(secret);
    void feed.apply({ added: [{ name, version: resourceVersion(body), body, aliases: [] } as never], removed: [] });
    return told.get(name);
  };
  const broken: TlsSecret = { kind: 'secret', name: 'shop/cert', keepsLast: true };

  it('is the last that was told, until there is a good one', () => {
    tell(good);
    assert.deepEqual(tell(broken), good);
    assert.deepEqual(tell(broken), good, 'also when it is told again');
    assert.deepEqual(tell(other), other);
    assert.deepEqual(tell(broken), other);
  });

  it('is none at a proxy that was never told one, nor of another name', () => {
    assert.deepEqual(tell(broken), broken);
    tell({ ...good, name: 'shop/other' });
    assert.deepEqual(tell(broken), broken);
  });

  it('is the last that was told rather than one that should not serve, while that is valid', () => {
    tell(good);
    const ended = { ...other, keepsLast: true };
    assert.deepEqual(tell(ended), good);
    clock.advance(365 * day);
    assert.deepEqual(tell(ended), ended);
    assert.deepEqual(tell(broken), good, 'nothing is better than one that has ended');
  });

  it('is forgotten with its name', () => {
    tell(good);
    void feed.apply({ added: [], removed: [proxyResourceName(good)] });
    assert.deepEqual(tell(broken), broken);
  });
});
