/** Parts of a VirtualService, by name. */
import type { VirtualService } from '../../api/istio.ts';

export type VirtualServiceSpec = NonNullable<VirtualService['spec']>;
export type VsHttp = NonNullable<VirtualServiceSpec['http']>[number];
export type VsTcp = NonNullable<VirtualServiceSpec['tcp']>[number];
export type VsHttpMatch = NonNullable<VsHttp['match']>[number];
export type VsStringMatch = NonNullable<VsHttpMatch['uri']>;
export type VsHttpRoute = NonNullable<VsHttp['route']>[number];
export type VsL4Route = NonNullable<VsTcp['route']>[number];
export type VsDestination = VsHttpRoute['destination'];
export type VsHeaders = NonNullable<VsHttp['headers']>;
