/** Why there is no certificate for an identity. */
import type { SpiffeId } from '../api/names.ts';
import { AmbitError, codeOf, messageOf } from '../lib/errors.ts';

/** An authority that said no, as opposed to one that did not answer. */
export function isRefusal(error: AmbitError): boolean {
  return refusals.has(codeOf(error.cause) ?? '');
}

const refusals: ReadonlySet<string> = new Set([
  'rpc.permission-denied',
  'rpc.invalid-argument',
  'rpc.failed-precondition',
  'rpc.not-found',
]);

export function failure(identity: SpiffeId, thrown: unknown): AmbitError {
  const message = `Cannot get a certificate for ${identity}: ${messageOf(thrown)}`;
  return new AmbitError(message, { code: 'identity.not-issued', blame: 'upstream', cause: thrown });
}

export function foreign(identity: SpiffeId, trustDomain: string): AmbitError {
  const message = `Cannot get a certificate for ${identity}: our trust domain is ${trustDomain}`;
  return new AmbitError(message, { code: 'identity.wrong-trust-domain', blame: 'internal' });
}

export function gaveUp(identity: SpiffeId): AmbitError {
  const message = `Cannot wait for the certificate of ${identity}: given up`;
  return new AmbitError(message, { code: 'identity.given-up', blame: 'internal' });
}
