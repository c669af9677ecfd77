/** One consistent configuration of the proxy: all references resolve. Never changed; the next one replaces it. */
import type {
  Backend,
  DestinationService,
  Listener,
  Provider,
  ProxyPolicy,
  ProxySettings,
  RouteTable,
  TlsSecret,
} from '../../api/l7/index.ts';
import type { ServiceKey } from '../../api/names.ts';

export interface ProxySnapshot {
  readonly settings: ProxySettings;
  readonly listeners: ReadonlyMap<string, Listener>;
  readonly services: ReadonlyMap<ServiceKey, DestinationService>;
  readonly routes: ReadonlyMap<string, RouteTable>;
  readonly backends: ReadonlyMap<string, Backend>;
  readonly policies: PoliciesByKind;
  readonly providers: ReadonlyMap<string, Provider>;
  readonly secrets: ReadonlyMap<string, TlsSecret>;
}

/** By name. */
export type PoliciesByKind = {
  readonly [K in ProxyPolicy['kind']]: ReadonlyMap<string, Extract<ProxyPolicy, { readonly kind: K }>>;
};
