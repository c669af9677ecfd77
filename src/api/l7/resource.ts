/** The resources of one proxy. Names are unique within a kind; a resource refers to others by name. */
import type { Backend } from './backend.ts';
import type { DestinationService, Listener } from './listener.ts';
import type { ProxyPolicy, Provider } from './policy.ts';
import type { RouteTable } from './routes.ts';
import type { ProxySettings, TlsSecret } from './settings.ts';

/**
 * On the wire a resource is named `<kind>/<name>`. One response of discovery is one transaction: references resolve inside what
 * the proxy then holds, or the last good configuration stays.
 */
export type ProxyResource =
  | ProxySettings
  | Listener
  | DestinationService
  | RouteTable
  | Backend
  | ProxyPolicy
  | Provider
  | TlsSecret;

export type ProxyResourceKind = ProxyResource['kind'];
