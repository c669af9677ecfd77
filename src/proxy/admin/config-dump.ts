/** `/config_dump`: what the proxy is told and makes of it, written piece by piece, as it may be long. */
import type { CertificateStatus } from '../../identity/index.ts';
import { dumpCertificate } from '../../identity/index.ts';
import type { ProxyResource } from '../../api/l7/index.ts';
import type { ConfigStatus } from '../config/store.ts';
import type { ProxySnapshot } from '../config/snapshot.ts';
import type { BackendStatus } from '../upstream/upstream.ts';
import { jsonOf, shownResource } from './shown.ts';

export interface ConfigDumpInput {
  readonly version: string;
  /** Settings of the process, without secrets. */
  readonly process: Readonly<Record<string, string | number | boolean>>;
  readonly snapshot: ProxySnapshot | undefined;
  readonly status: ConfigStatus;
  readonly certificates: readonly CertificateStatus[];
  readonly endpoints: readonly BackendStatus[];
}

/** The JSON text, none of its pieces longer than one resource. */
export async function* configDump(input: ConfigDumpInput): AsyncGenerator<string> {
  const { snapshot, status } = input;
  yield `{\n  "version": ${JSON.stringify(input.version)},\n  "process": ${JSON.stringify(input.process)},\n`;
  yield `  "configuration": ${jsonOf(shownStatus(status))},\n`;
  yield `  "settings": ${jsonOf(snapshot?.settings ?? null)}`;
  for (const [name, resources] of sections(snapshot)) {
    yield* list(
      name,
      resources.values().map((resource) => jsonOf(shownResource(resource))),
    );
  }
  yield* list(
    'certificates',
    input.certificates.values().map((one) => JSON.stringify(dumpCertificate(one))),
  );
  yield* list(
    'endpoints',
    input.endpoints.values().map((one) => JSON.stringify(one)),
  );
  yield '\n}\n';
}

/** Names of the lists, with what is in them. */
function sections(
  snapshot: ProxySnapshot | undefined,
): readonly (readonly [name: string, resources: ReadonlyMap<string, ProxyResource>])[] {
  if (!snapshot) return [];
  const { policies } = snapshot;
  return [
    ['listeners', snapshot.listeners],
    ['services', snapshot.services],
    ['routes', snapshot.routes],
    ['backends', snapshot.backends],
    ['authorization', policies.authorization],
    ['authentication', policies.authentication],
    ['rateLimits', policies['rate-limit']],
    ['telemetry', policies.telemetry],
    ['extensions', policies.extension],
    ['providers', snapshot.providers],
    ['secrets', snapshot.secrets],
  ];
}

function shownStatus({ acceptedAtMs, refusal, resources }: ConfigStatus): unknown {
  return {
    acceptedAt: acceptedAtMs === 0 ? null : new Date(acceptedAtMs).toISOString(),
    ...(refusal === undefined ? {} : { refusal }),
    resources: resources.map(({ toldAtMs, ...one }) => ({ ...one, toldAt: new Date(toldAtMs).toISOString() })),
  };
}

function* list(name: string, items: Iterable<string>): Generator<string> {
  yield `,\n  "${name}": [`;
  let separator = '';
  for (const item of items) {
    yield `${separator}\n    ${item}`;
    separator = ',';
  }
  yield separator === '' ? ']' : '\n  ]';
}
