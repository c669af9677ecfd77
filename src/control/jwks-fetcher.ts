/** Fetches the public keys of an issuer: a JSON Web Key Set, by its address or by OpenID discovery. Bounded in size, time and hops. */
import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { Agent, request } from 'undici';
import type { KeyNeed } from '../discovery/index.ts';
import { AmbitError, messageOf } from '../lib/errors.ts';
import { cidrContains, parseCidr, tryParseIp, type Cidr } from '../lib/ip.ts';
import { shownUrl } from '../lib/shown-url.ts';
import { parseJwks } from '../policy/jwt-keys.ts';

export interface JwksFetcher {
  /**
   * The set as JSON: its public members alone, in an order that does not depend on the issuer's.
   *
   * @throws AmbitError `control.jwks`: in words for whoever wrote the policy.
   */
  fetch(need: KeyNeed, signal: AbortSignal): Promise<string>;
  close(): Promise<void>;
}

export interface JwksFetcherOptions {
  /** Never connected to, by name or by number: who may write policies must not reach them through us. */
  readonly blockedCidrs?: readonly Cidr[];
}

/** Our own machine and what is next to it, as the service that tells clouds' machines their credentials. */
export const neverForKeys: readonly Cidr[] = [
  '127.0.0.0/8',
  '::1',
  '169.254.0.0/16',
  'fe80::/10',
  '0.0.0.0/8',
  '::',
].map(parseCidr);

const maxBytes = 1024 * 1024;
const maxHops = 5;
const configurationPath = '/.well-known/openid-configuration';

export function createJwksFetcher({ blockedCidrs = [] }: JwksFetcherOptions = {}): JwksFetcher {
  const agent = new Agent({
    connect: { lookup: filteredLookup(blockedCidrs) },
    connections: 1,
    pipelining: 1,
    keepAliveTimeout: 1000,
  });
  const get = async (address: string, signal: AbortSignal): Promise<unknown> => {
    let url = parseUrl(address);
    for (let hop = 0; hop < maxHops; hop++) {
      const ip = tryParseIp(url.hostname.replace(/^\[(.*)\]$/, '$1'));
      if (ip && isBlocked(ip, blockedCidrs)) throw failure(`${url.host} may not be connected to`);
      const { statusCode, headers, body } = await request(url, {
        dispatcher: agent,
        signal,
        headers: { accept: 'application/json, application/jwk-set+json' },
      });
      const { location } = headers;
      if ([301, 302, 303, 307, 308].includes(statusCode) && typeof location === 'string') {
        await body.dump();
        url = parseUrl(new URL(location, url).href);
        continue;
      }
      const text = await readText(body, url);
      if (statusCode !== 200) throw failure(`${shownUrl(url.href)} answers with status ${statusCode}`);
      return parseJson(text, url);
    }
    throw failure(`${shownUrl(address)} leads on and on`);
  };
  return {
    async fetch({ from, url, timeoutMs }, signal) {
      const both = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      try {
        const set = from === 'jwks' ? await get(url, both) : await get(await keysOf(url, both), both);
        return publicSet(set);
      } catch (error) {
        if (error instanceof AmbitError) throw error;
        const why = both.aborted && !signal.aborted ? `no answer within ${timeoutMs} ms` : messageOf(error);
        throw failure(`${shownUrl(url)} cannot be fetched: ${why}`, error);
      }
    },
    close: () => agent.destroy(),
  };

  async function keysOf(issuer: string, signal: AbortSignal): Promise<string> {
    const configuration = await get(`${issuer.replace(/\/$/, '')}${configurationPath}`, signal);
    const uri =
      typeof configuration === 'object' && configuration !== null && 'jwks_uri' in configuration
        ? configuration.jwks_uri
        : undefined;
    if (typeof uri === 'string') return uri;
    throw failure(`the OpenID configuration of ${shownUrl(issuer)} names no jwks_uri`);
  }
}

/** What proxies need, and no more: no certificates, and no private part that somebody published. */
function publicSet(value: unknown): string {
  const keys: unknown = typeof value === 'object' && value !== null && 'keys' in value ? value.keys : undefined;
  const kept = (Array.isArray(keys) ? keys : []).flatMap((key: unknown) =>
    typeof key === 'object' && key !== null ? [JSON.stringify(key, publicMembers)] : [],
  );
  const json = `{"keys":[${kept.toSorted((a, b) => (a < b ? -1 : 1)).join(',')}]}`;
  if (!Array.isArray(keys)) throw failure('what is there is no JSON Web Key Set: it has no list `keys`');
  if (parseJwks(json).length === 0) throw failure('the key set there holds no key that can verify a signature');
  return json;
}

const publicMembers = ['alg', 'crv', 'e', 'key_ops', 'kid', 'kty', 'n', 'use', 'x', 'y'];

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw failure(`${shownUrl(text)} is no http or https URL`);
  return url;
}

async function readText(body: AsyncIterable<Uint8Array>, url: URL): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maxBytes) throw failure(`${shownUrl(url.href)} answers with more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The parser's own message would quote a stranger's answer. */
function parseJson(text: string, url: URL): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw failure(`${shownUrl(url.href)} answers with what is not JSON`);
  }
}

function isBlocked(ip: Uint8Array, blocked: readonly Cidr[]): boolean {
  return blocked.some((cidr) => cidrContains(cidr, ip));
}

/** Addresses are judged where they are used: a name that resolves otherwise the second time does not get around. */
function filteredLookup(blocked: readonly Cidr[]): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '');
      const allowed = addresses.filter(({ address }) => {
        const ip = tryParseIp(address);
        return ip !== undefined && !isBlocked(ip, blocked);
      });
      const [first] = allowed;
      if (!first) return callback(failure(`${hostname} may not be connected to`), '');
      if (options.all) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}

function failure(problem: string, cause?: unknown): AmbitError {
  return new AmbitError(problem, { code: 'control.jwks', blame: 'upstream', ...(cause ? { cause } : {}) });
}
