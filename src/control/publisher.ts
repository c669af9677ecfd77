/** What discovery derives, as the sources that data planes are told from: published together, after each flush. */
import type { Discovery } from '../discovery/index.ts';
import type { Log } from '../lib/log.ts';
import { addressAliases, encodeAddress, encodeAuthorization, encodeProxyResource } from '../wire/index.ts';
import type { ResourceSource } from '../xds/index.ts';
import { createProxySources, type ProxySources } from './proxy-source.ts';
import { createWdsSource } from './wds-source.ts';

export interface Publisher {
  readonly addresses: ResourceSource;
  readonly authorizations: ResourceSource;
  readonly proxies: ProxySources;
  /** Hands over what the flushes collected. */
  publish(): void;
}

export function createPublisher(discovery: Discovery, log: Log): Publisher {
  const addresses = createWdsSource({
    collection: discovery.addresses,
    encode: encodeAddress,
    aliases: addressAliases,
    log,
  });
  const authorizations = createWdsSource({ collection: discovery.authorizations, encode: encodeAuthorization, log });
  const proxies = createProxySources({ collection: discovery.proxyResources, encode: encodeProxyResource, log });
  return {
    addresses: addresses.source,
    authorizations: authorizations.source,
    proxies,
    publish() {
      // All in one turn of the loop: the server orders what belongs together.
      authorizations.publish();
      addresses.publish();
      proxies.publish();
    },
  };
}
