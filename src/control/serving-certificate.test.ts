import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, it } from 'node:test';
import {
  createCertificateAuthority,
  createRoot,
  createRotatingAuthority,
  type CertificateAuthority,
  type RotatingAuthority,
  type ServerIdentity,
} from '../ca/index.ts';
import { createFakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import { issueServingCertificate } from './serving-certificate.ts';

const hourMs = 3600_000;

describe('the certificate that the control plane serves with', () => {
  it('is renewed at half of its life, by the calendar, and when another key signs', async () => {
    const awake = createFakeClock(Math.floor(Date.now() / 1000) * 1000);
    let sleptMs = 0;
    const clock = { ...awake, nowMs: () => awake.nowMs() + sleptMs };
    const open = async (): Promise<CertificateAuthority> => {
      const { certPem, keyPem } = await createRoot({ clock });
      return createCertificateAuthority({ caCertPem: certPem, caKeyPem: keyPem, rootPem: certPem, clock });
    };
    const authority = createRotatingAuthority(await open(), { clock });
    const stop = new AbortController();
    const serving = await issueServingCertificate({
      authority,
      dnsNames: ['istiod.istio-system.svc'],
      ips: [],
      signal: stop.signal,
      log: silentLog(),
      clock,
    });
    let told = Promise.withResolvers<ServerIdentity>();
    serving.onRenewed((next) => told.resolve(next));
    const renewed = async (): Promise<ServerIdentity> => {
      const next = await told.promise;
      told = Promise.withResolvers();
      return next;
    };
    awake.advance(12 * hourMs);
    const second = await renewed();
    assert.ok(second.notAfterMs > serving.first.notAfterMs);

    sleptMs = 13 * hourMs;
    awake.advance(60_000);
    const third = await renewed();
    assert.ok(third.notAfterMs > second.notAfterMs, 'a machine that slept is not behind for long');

    const next = await open();
    authority.adopt(next, 0);
    const fourth = await renewed();
    const issuer = new X509Certificate(next.signerPem);
    assert.ok(new X509Certificate(fourth.chainPem).verify(issuer.publicKey));
    stop.abort();
    assert.equal(awake.pending, 0);
  });

  interface Asked {
    readonly by: string;
    readonly signed: PromiseWithResolvers<ServerIdentity>;
  }

  /** An authority that signs when the test says so. */
  function slowAuthority(): {
    readonly authority: RotatingAuthority;
    readonly asked: Asked[];
    readonly change: (to: string) => void;
  } {
    const asked: Asked[] = [];
    const listeners: (() => void)[] = [];
    const authority = {
      signerPem: 'one',
      signServer() {
        const one = { by: authority.signerPem, signed: Promise.withResolvers<ServerIdentity>() };
        asked.push(one);
        return one.signed.promise;
      },
      onChange: (listener: () => void) => void listeners.push(listener),
    };
    return {
      authority: authority as unknown as RotatingAuthority,
      asked,
      change(to) {
        authority.signerPem = to;
        for (const listener of listeners) listener();
      },
    };
  }
  const identityBy = (chainPem: string): ServerIdentity => ({ chainPem, keyPem: '', notAfterMs: 0 });
  const open = (authority: RotatingAuthority) => {
    const stop = new AbortController();
    const options = {
      authority,
      dnsNames: [],
      ips: [],
      signal: stop.signal,
      log: silentLog(),
      clock: createFakeClock(),
    };
    return { stop, serving: issueServingCertificate(options) };
  };
  const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

  it('is the one that was asked for last, whichever is signed first', async () => {
    const { authority, asked, change } = slowAuthority();
    const { stop, serving } = open(authority);
    asked[0]?.signed.resolve(identityBy('one'));
    const used: string[] = [];
    (await serving).onRenewed(({ chainPem }) => void used.push(chainPem));
    change('two');
    change('three');
    assert.deepEqual(
      asked.map(({ by }) => by),
      ['one', 'two', 'three'],
    );
    asked[2]?.signed.resolve(identityBy('three'));
    await turn();
    asked[1]?.signed.resolve(identityBy('two'));
    await turn();
    assert.deepEqual(used, ['three']);
    stop.abort();
  });

  it('is renewed at once where the key has changed before anybody listened', async () => {
    const { authority, asked, change } = slowAuthority();
    const { stop, serving } = open(authority);
    change('two');
    asked[0]?.signed.resolve(identityBy('one'));
    const used: string[] = [];
    (await serving).onRenewed(({ chainPem }) => void used.push(chainPem));
    asked[1]?.signed.resolve(identityBy('two'));
    await turn();
    assert.deepEqual(used, ['two']);
    stop.abort();
  });
});
