/** What discovery says of workloads and services, into the proxy's view of the mesh. */
import { messageOf } from '../../lib/errors.ts';
import type { MeshAddress } from '../../api/workload.ts';
import type { MeshState } from '../../mesh/index.ts';
import { addressName, addressTypeUrl, decodeAddress } from '../../wire/index.ts';
import type { DeltaClientType } from '../../xds/index.ts';

/** For `startDeltaClient`. What cannot be read keeps its last version, and is said. */
export function meshFeed(mesh: MeshState): DeltaClientType {
  return {
    typeUrl: addressTypeUrl,
    apply({ added, removed }) {
      const rejected: { name: string; reason: string }[] = [];
      const updated: MeshAddress[] = [];
      for (const { name, body } of added) {
        try {
          const address = decodeAddress(body);
          if (addressName(address) !== name) throw new Error(`the resource says it is "${addressName(address)}"`);
          updated.push(address);
        } catch (error) {
          rejected.push({ name, reason: messageOf(error) });
        }
      }
      mesh.applyAddresses({ updated, removed });
      return { rejected };
    },
  };
}
