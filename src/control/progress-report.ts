/** How far the data planes of this replica are, and what they refuse, as the other replicas are told. */
import { authorizationTypeUrl, proxyResourceTypeUrl } from '../wire/index.ts';
import type { DeltaServer } from '../xds/index.ts';
import type { DiscoveryClient } from './discovery-service.ts';
import type { ReplicaReport } from './replica-report.ts';
import type { Watermark } from './watermark.ts';

/** Before the name of a Gateway whose proxies refuse what they are told. */
export const refusingGateway = 'gateway:';

export function progressReport(
  watermark: Watermark,
  deltas: Pick<DeltaServer<DiscoveryClient>, 'refusals'>,
): ReplicaReport {
  return {
    held: watermark.held() ?? {},
    refused: {
      ...Object.fromEntries(deltas.refusals(authorizationTypeUrl)),
      ...Object.fromEntries(
        deltas.refusals(proxyResourceTypeUrl, ({ gateway }) => gateway && `${refusingGateway}${gateway}`),
      ),
    },
  };
}
