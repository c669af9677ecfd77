/** Kinds of Istio's that are stored, as tools and other meshes have them, and that nothing in this mesh acts on. */

export type UnservedKind = 'EnvoyFilter' | 'WasmPlugin' | 'TrafficExtension' | 'IstioGateway' | 'WorkloadGroup';

/** By the name under which `kinds` has it: why it is without effect, and what to write instead, for whoever reads a status. */
export const unservedKinds: Readonly<Record<UnservedKind, string>> = {
  EnvoyFilter:
    'it has no effect: there is no Envoy that it could patch. Use RateLimit or ProxyExtension of policy.ambit.dev, or the fields of HTTPRoute and DestinationRule',
  WasmPlugin:
    'it has no effect: proxies run no WebAssembly. Write it as a module of a ProxyExtension (policy.ambit.dev)',
  TrafficExtension:
    'it has no effect: proxies run neither WebAssembly nor Lua. Write it as a module of a ProxyExtension (policy.ambit.dev)',
  IstioGateway:
    'it has no effect: Gateways of networking.istio.io are not served. Use Gateway and HTTPRoute of gateway.networking.k8s.io',
  WorkloadGroup: 'it has no effect: nobody registers workloads by it. Write a WorkloadEntry for each',
};
