/** Users' filters: asked about each request, in the phase and order that their Extension says. */
import { createHash } from 'node:crypto';
import type { Extension } from '../../../api/l7/index.ts';
import { HeaderList } from '../../../http/header-list.ts';
import type { ResponseHead } from '../../../http/message.ts';
import { normalizePath, type PathNormalization } from '../../../http/path-normalization.ts';
import { messageOf } from '../../../lib/errors.ts';
import { ConfigError } from '../../config/config-error.ts';
import type { FilterKind, FilterPlace, HttpFilter, LocalReply } from '../../engine/filter.ts';
import type { HttpRun } from '../../engine/http-run.ts';
import { ExtensionProcess, type ExtensionVerdict } from './extension-process.ts';
import type { WireRequest } from './messages.ts';

/** One kind a phase, as each has its place among the other filters. */
export function extensionFilter(phase: Extension['phase']): FilterKind {
  return {
    name: `extension-${phase}`,
    reads: ['extensions'],
    build(place) {
      const own = place.policies.extensions
        .flatMap((name) => place.snapshot.policies.extension.get(name) ?? [])
        .filter((extension) => extension.phase === phase)
        .toSorted((a, b) => b.priority - a.priority);
      return own.length === 0 ? undefined : new ExtensionFilter(own, place);
    },
  };
}

interface Running {
  readonly extension: Extension;
  readonly process: ExtensionProcess;
}

class ExtensionFilter implements HttpFilter {
  readonly name = 'extension';
  readonly #running: readonly Running[];

  readonly #normalization: PathNormalization;

  constructor(extensions: readonly Extension[], { services, snapshot }: FilterPlace) {
    this.#normalization = snapshot.settings.pathNormalization;
    for (const { name, source, sha256 } of extensions) {
      const found = createHash('sha256').update(source).digest('hex');
      if (found === sha256) continue;
      throw new ConfigError({ kind: 'extension', name }, `its source has the SHA-256 ${found}, not ${sha256}`);
    }
    const { clock, log } = services;
    this.#running = extensions.map((extension) => ({
      extension,
      process: new ExtensionProcess({ extension, clock, log }),
    }));
  }

  async onRequest(run: HttpRun): Promise<LocalReply | undefined> {
    const passed: ExtensionProcess[] = [];
    run.state.set(this, passed);
    for (const { extension, process } of this.#running) {
      if (process.hooks?.onRequest === false) {
        passed.push(process);
        continue;
      }
      try {
        const request = await wireRequest(run, extension.maxBodyBytes);
        const verdict = await process.onRequest(request);
        const reply = verdict && applyToRequest(verdict, run, { extension, normalization: this.#normalization });
        passed.push(process);
        if (reply) return reply;
      } catch (error) {
        if (extension.failOpen) continue;
        return refusal(extension, messageOf(error));
      }
    }
    return undefined;
  }

  /** Who was not asked about the request, or failed at it, is not asked about its answer. */
  onResponse(run: HttpRun, head: ResponseHead): Promise<void> | undefined {
    const passed = (run.state.get(this) ?? []) as readonly ExtensionProcess[];
    const asked = this.#running.filter(
      ({ process }) => passed.includes(process) && process.hooks?.onResponse !== false,
    );
    return asked.length > 0 ? askForResponse(asked, run, head) : undefined;
  }

  close(): void {
    for (const { process } of this.#running) process.close();
  }
}

async function askForResponse(asked: readonly Running[], run: HttpRun, head: ResponseHead): Promise<void> {
  for (const { extension, process } of asked.toReversed()) {
    try {
      const request = await wireRequest(run, 0);
      const verdict = await process.onResponse({ status: head.status, headers: joined(head.headers) }, request);
      if (verdict?.headers) changeHeaders(head.headers, verdict.headers);
      if (verdict?.status !== undefined && isFinal(verdict.status) && head.status >= 200) head.status = verdict.status;
    } catch (error) {
      if (!extension.failOpen) throw error;
    }
  }
}

async function wireRequest(run: HttpRun, maxBodyBytes: number): Promise<WireRequest> {
  const { method, scheme, authority, path, headers } = run.request;
  const { sourceAddress, sourceIdentity } = run.connection;
  const body = maxBodyBytes > 0 ? await run.bufferBody(maxBodyBytes) : undefined;
  return {
    method,
    scheme,
    authority,
    path,
    headers: joined(headers),
    source: { address: sourceAddress, ...(sourceIdentity === undefined ? {} : { principal: sourceIdentity }) },
    ...(run.route ? { route: run.route.name } : {}),
    ...(run.token ? { claims: run.token.claims } : {}),
    ...(body && body.bytes.length > 0
      ? { body: { base64: Buffer.from(body.bytes).toString('base64'), whole: body.whole } }
      : {}),
  };
}

function joined(headers: HeaderList): Record<string, string> {
  // Without a prototype: names such as `constructor` and `__proto__` are headers, too.
  const all = Object.create(null) as Record<string, string>;
  for (const [name, value] of headers) all[name] = all[name] === undefined ? value : `${all[name]},${value}`;
  return all;
}

function applyToRequest(
  verdict: ExtensionVerdict,
  run: HttpRun,
  { extension, normalization }: { readonly extension: Extension; readonly normalization: PathNormalization },
): LocalReply | undefined {
  const { respond, headers, path } = verdict;
  if (respond) {
    if (!isFinal(respond.status)) throw new Error(`extension ${extension.name} answers with status ${respond.status}`);
    const own = new HeaderList();
    changeHeaders(own, respond.headers ?? {});
    const contentType = own.get('content-type');
    own.remove('content-type');
    return {
      status: respond.status,
      headers: own,
      ...(respond.body === undefined ? {} : { body: respond.body }),
      ...(contentType === undefined ? {} : { contentType }),
      flag: '',
      details: `extension_denied{${extension.name}}`,
      reason: `extension ${extension.name} answered`,
    };
  }
  if (headers) {
    const { host, ...others } = headers;
    if (typeof host === 'string' && isFieldValue(host)) run.request.authority = host;
    changeHeaders(run.request.headers, others);
  }
  if (path !== undefined) {
    const normalized = /^\/[\x21-\x7e]*$/.test(path) ? normalizePath(path, normalization) : undefined;
    if (normalized === undefined) {
      throw new Error(`extension ${extension.name} asks for the path ${JSON.stringify(path)}`);
    }
    run.request.path = normalized;
  }
  if (headers || path !== undefined) run.reroute();
  return undefined;
}

/** Names and values that are none are an error of the extension; what frames a message is not its to change. */
function changeHeaders(headers: HeaderList, changes: Readonly<Record<string, string | null>>): void {
  for (const [given, value] of Object.entries(changes)) {
    const name = given.toLowerCase();
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name)) throw new Error(`${JSON.stringify(given)} is no name of a header`);
    if (framing.has(name)) continue;
    if (value === null) headers.remove(name);
    else if (typeof value === 'string' && isFieldValue(value)) headers.set(name, value);
    else throw new Error(`the header ${name} has a value that cannot be sent`);
  }
}

const framing: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

function isFieldValue(value: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value) && value === value.trim();
}

function isFinal(status: number): boolean {
  return Number.isInteger(status) && status >= 200 && status <= 599;
}

function refusal({ name }: Extension, problem: string): LocalReply {
  return { status: 500, flag: '', details: `extension_failed{${name}}`, reason: problem };
}
