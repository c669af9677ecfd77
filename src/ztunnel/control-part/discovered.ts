/** What discovery said, decoded and checked once, and passed on to every data part. */
import { messageOf } from '../../lib/errors.ts';
import type { MeshAddress } from '../../api/workload.ts';
import type { Authorization } from '../../policy/index.ts';
import type { DeltaClientType, DeltaUpdate, DeltaVerdict } from '../../xds/index.ts';
import {
  addressName,
  addressTypeUrl,
  authorizationName,
  authorizationTypeUrl,
  decodeAddress,
  decodeAuthorization,
  denyInsteadOf,
} from '../../wire/index.ts';
import type { ControlMessage } from '../messages.ts';

type Rejected = { name: string; reason: string }[];

export class Discovered {
  readonly #addresses = new Map<string, MeshAddress>();
  readonly #authorizations = new Map<string, Authorization>();
  readonly #broadcast: (message: ControlMessage) => void;
  readonly #onMessage: (typeUrl: string, byteCount: number) => void;

  constructor(broadcast: (message: ControlMessage) => void, onMessage: (typeUrl: string, byteCount: number) => void) {
    this.#broadcast = broadcast;
    this.#onMessage = onMessage;
  }

  /** For the delta client, in the order of subscription: policies before the workloads that name them. */
  get types(): DeltaClientType[] {
    return [
      { typeUrl: authorizationTypeUrl, apply: (update) => this.#applyAuthorizations(update) },
      { typeUrl: addressTypeUrl, apply: (update) => this.#applyAddresses(update) },
    ];
  }

  /** All of it, for a data part that knows nothing yet. Policies first, as on the wire. */
  snapshot(): ControlMessage[] {
    const removed: string[] = [];
    return [
      { kind: 'authorizations', update: { updated: [...this.#authorizations.values()], removed } },
      { kind: 'addresses', update: { updated: [...this.#addresses.values()], removed } },
    ];
  }

  /** As they are now; what changes while they are read is seen or not. */
  get addresses(): Iterable<MeshAddress> {
    return this.#addresses.values();
  }

  get authorizations(): Iterable<Authorization> {
    return this.#authorizations.values();
  }

  #applyAddresses({ added, removed }: DeltaUpdate): DeltaVerdict {
    const rejected: Rejected = [];
    const updated: MeshAddress[] = [];
    this.#count(addressTypeUrl, added);
    for (const { name, body } of added) {
      try {
        const address = decodeAddress(body);
        if (addressName(address) !== name) throw new Error(`the resource says it is "${addressName(address)}"`);
        updated.push(address);
        this.#addresses.set(name, address);
      } catch (error) {
        rejected.push({ name, reason: messageOf(error) });
      }
    }
    for (const name of removed) this.#addresses.delete(name);
    this.#broadcast({ kind: 'addresses', update: { updated, removed } });
    return { rejected };
  }

  #applyAuthorizations({ added, removed }: DeltaUpdate): DeltaVerdict {
    const rejected: Rejected = [];
    const updated: Authorization[] = [];
    this.#count(authorizationTypeUrl, added);
    for (const { name, body } of added) {
      const policy = this.#decodePolicy(name, body, rejected);
      if (!policy) continue;
      updated.push(policy);
      this.#authorizations.set(name, policy);
    }
    for (const name of removed) this.#authorizations.delete(name);
    this.#broadcast({ kind: 'authorizations', update: { updated, removed } });
    return { rejected };
  }

  /** A policy that cannot be read keeps its last version; one that has none denies, so that it never opens anything. */
  #decodePolicy(name: string, body: Uint8Array, rejected: Rejected): Authorization | undefined {
    try {
      const policy = decodeAuthorization(body);
      if (authorizationName(policy) !== name) throw new Error(`the resource says it is "${authorizationName(policy)}"`);
      return policy;
    } catch (error) {
      rejected.push({ name, reason: messageOf(error) });
      return this.#authorizations.has(name) ? undefined : denyInsteadOf(name, body);
    }
  }

  #count(typeUrl: string, added: DeltaUpdate['added']): void {
    this.#onMessage(
      typeUrl,
      added.reduce((sum, { body }) => sum + body.length, 0),
    );
  }
}
