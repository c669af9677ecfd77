/** Changes of header fields that an authorizer or a rate limit service asks for. */
import type { HeaderList } from '../../../http/header-list.ts';
import type { HeaderMutation } from '../../../wire/ext-authz.ts';

/** What frames a message or belongs to one hop: nobody outside of the codecs changes it. */
const oneHop = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

export function isOfOneHop(name: string): boolean {
  return oneHop.has(name);
}

/** Passes over names that may not be changed. */
export function mutateHeaders(headers: HeaderList, mutations: readonly HeaderMutation[]): void {
  for (const { name, value, how } of mutations) {
    if (isOfOneHop(name)) continue;
    if (how === 'append') headers.add(name, value);
    else if (how === 'set' || headers.has(name) === (how === 'set-if-present')) headers.set(name, value);
  }
}
