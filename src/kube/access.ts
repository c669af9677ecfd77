/** How to speak to one API server as one user. Secrets inside: never log it. */

export interface ClusterAccess {
  /** `https://host:port`, without a trailing slash; a path is kept. */
  readonly server: string;
  /** Absent: the system's roots. */
  readonly caPem?: string;
  /** Name to verify instead of the host of `server`. */
  readonly tlsServerName?: string;
  readonly insecureSkipTlsVerify: boolean;
  readonly clientCertPem?: string;
  readonly clientKeyPem?: string;
  /**
   * The bearer token; absent: none. A file is read again from time to time; `fresh` says that the server refused the last
   * one, and passes any cache.
   */
  readonly token?: (fresh?: boolean) => string;
  /** Credentials that somebody else makes (an exec plugin). A `token` of the access goes before theirs. */
  readonly credentials?: CredentialSource;
  readonly impersonate?: Impersonation;
  /** HTTP proxy, `http://` or `https://`, that all connections go through. */
  readonly proxyUrl?: string;
  /** Namespace of the context; "default" when it names none. */
  readonly namespace: string;
  /** Reads the certificates that live in files anew. Absent: none does. Throws when one cannot be read. */
  readonly readCertificates?: () => Certificates;
}

export interface Certificates {
  readonly caPem?: string;
  readonly clientCertPem?: string;
  readonly clientKeyPem?: string;
}

/** What proves who calls; a token, a certificate with its key, or both. */
export interface Credential {
  readonly token?: string;
  readonly clientCertPem?: string;
  readonly clientKeyPem?: string;
}

export interface CredentialSource {
  /** What to call with now. `refused` is what the server answered 401 to: it is not given again if there is something newer. */
  get(refused?: Credential): Promise<Credential>;
}

/** Calls are made as somebody else, whom the caller must be allowed to impersonate. */
export interface Impersonation {
  readonly user: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** The headers of an impersonation (Kubernetes, "Authenticating: user impersonation"). */
export function impersonationHeaders({ user, uid, groups, extra }: Impersonation): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = { 'impersonate-user': user };
  if (uid !== undefined) headers['impersonate-uid'] = uid;
  if (groups && groups.length > 0) headers['impersonate-group'] = [...groups];
  for (const [key, values] of Object.entries(extra ?? {})) {
    // Keys may hold what a header's name may not: "/" above all.
    const name = encodeURIComponent(key.toLowerCase()).replaceAll(/[()]/g, (c) => (c === '(' ? '%28' : '%29'));
    headers[`impersonate-extra-${name}`] = [...values];
  }
  return headers;
}
