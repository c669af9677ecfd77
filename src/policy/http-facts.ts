/** One request as policies see it, and what they derive from it. A run of the proxy is such facts as it is. */
import type { SpiffeId } from '../api/names.ts';
import { ipv4Number } from './http-ipv4.ts';
import { tryParseScopedIp } from '../lib/ip.ts';

/** Of a connection without HTTP: only `connection` and `remoteAddress`. */
export interface RequestFacts {
  readonly connection: {
    /** Of the client: at a waypoint, the pod that opened the tunnel. */
    readonly sourceAddress: string;
    /** Verified. */
    readonly sourceIdentity: SpiffeId | undefined;
    readonly destinationAddress: string;
    /** Port that the client asked for: at a waypoint the Service's. */
    readonly destinationPort: number;
    readonly sni: string | undefined;
  };
  /** The original client, by trusted hops of X-Forwarded-For; else the source. */
  readonly remoteAddress: string;
  readonly request?: {
    readonly method: string;
    readonly scheme: string;
    /** As sent, with the port that the client named. */
    readonly authority: string;
    /** Normalised, with the query. */
    readonly path: string;
    /** Flat: name in lower case, value, name, value. */
    readonly headers: { readonly fields: readonly string[] };
  };
  readonly token?: TokenFacts | undefined;
}

/** A token whose signature and claims have been verified. */
export interface TokenFacts {
  readonly issuer: string;
  readonly subject: string;
  readonly audiences: readonly string[];
  readonly presenter: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** The facts of one decision. What takes work is computed when a rule first asks: most never do. */
export class RequestSubject {
  readonly facts: RequestFacts;
  #host: string | undefined;
  #path: string | undefined;
  #identity: IdentityParts | undefined;
  #sourceIp: IpFact | undefined;
  #remoteIp: IpFact | undefined;
  #destinationIp: IpFact | undefined;

  constructor(facts: RequestFacts) {
    this.facts = facts;
  }

  /** In lower case, with the port as sent. */
  get host(): string | undefined {
    return (this.#host ??= this.facts.request?.authority.toLowerCase());
  }

  /** Without query and fragment. */
  get path(): string | undefined {
    return (this.#path ??= this.facts.request && withoutQuery(this.facts.request.path));
  }

  /** The SPIFFE id without `spiffe://`. */
  get principal(): string | undefined {
    return this.facts.connection.sourceIdentity?.slice('spiffe://'.length);
  }

  get trustDomain(): string | undefined {
    return this.#identityParts()?.trustDomain;
  }

  get namespace(): string | undefined {
    return this.#identityParts()?.namespace;
  }

  get serviceAccount(): string | undefined {
    return this.#identityParts()?.serviceAccount;
  }

  get sourceIp(): IpFact {
    return (this.#sourceIp ??= parseIpFact(this.facts.connection.sourceAddress));
  }

  get remoteIp(): IpFact {
    return (this.#remoteIp ??= parseIpFact(this.facts.remoteAddress));
  }

  get destinationIp(): IpFact {
    return (this.#destinationIp ??= parseIpFact(this.facts.connection.destinationAddress));
  }

  #identityParts(): IdentityParts | undefined {
    const { sourceIdentity } = this.facts.connection;
    if (sourceIdentity === undefined) return undefined;
    return (this.#identity ??= identityParts(sourceIdentity));
  }
}

interface IdentityParts {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`: parsed strictly where the identity was verified. */
function identityParts(id: SpiffeId): IdentityParts {
  const start = 'spiffe://'.length;
  const domainEnd = id.indexOf('/', start);
  const namespaceStart = domainEnd + '/ns/'.length;
  const namespaceEnd = id.indexOf('/', namespaceStart);
  return {
    trustDomain: id.slice(start, domainEnd),
    namespace: id.slice(namespaceStart, namespaceEnd),
    serviceAccount: id.slice(namespaceEnd + '/sa/'.length),
  };
}

/** An IPv4 address as a number, others as bytes; `none`: it is no address. */
export type IpFact = number | Uint8Array | 'none';

function parseIpFact(text: string): IpFact {
  const number = ipv4Number(text);
  if (number >= 0) return number;
  const bytes = tryParseScopedIp(text);
  if (!bytes) return 'none';
  // An IPv4 address inside of an IPv6 one is the IPv4 address.
  return bytes.length === 4 ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) : bytes;
}

function withoutQuery(path: string): string {
  const query = path.indexOf('?');
  const bare = query < 0 ? path : path.slice(0, query);
  const fragment = bare.indexOf('#');
  return fragment < 0 ? bare : bare.slice(0, fragment);
}
