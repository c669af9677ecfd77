/** Where spans go: one exporter a provider, over the proxy's own upstream. */
import type { Provider } from '../../api/l7/index.ts';
import type { SpiffeId } from '../../api/names.ts';
import { createSpanExporter, encodeZipkin, type SpanExporter } from '../../export/index.ts';
import { callHttp } from '../../http/call.ts';
import { callUnary } from '../../http/grpc/index.ts';
import { HeaderList } from '../../http/header-list.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { MetricsRegistry, Span, SpanSource, TraceFormat } from '../../telemetry/index.ts';
import { decodeSpansAnswer, encodeSpans, exportSpansPath } from '../../wire/index.ts';
import { exchangesOf } from '../own-calls.ts';
import type { UpstreamClient, Upstreams } from '../upstream/upstream.ts';

export interface TracersOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: MetricsRegistry;
  readonly upstreams: Upstreams;
  /** Who makes the spans. */
  readonly source: SpanSource;
  readonly identity: () => SpiffeId | undefined;
}

export interface Tracer {
  readonly exporter: SpanExporter;
  /** How collectors of this kind expect traces to travel. */
  readonly format: TraceFormat;
}

type Send = (spans: readonly Span[]) => Promise<void>;

const defaultTimeoutMs = 5000;
const largestAnswer = 64 * 1024;

export class Tracers {
  readonly #options: TracersOptions;
  readonly #byProvider = new Map<string, { readonly provider: Provider; readonly tracer: Tracer }>();
  #dropped = 0;

  constructor(options: TracersOptions) {
    this.#options = options;
    options.metrics.counter(
      'ambit_proxy_spans_dropped',
      'Spans that no collector took, or for which there was no room',
      () => this.#dropped,
    );
  }

  /** Undefined: the provider takes no spans, or there is nobody to send them to. */
  of(provider: Provider, authority: string | undefined): Tracer | undefined {
    const known = this.#byProvider.get(provider.name);
    if (known?.provider === provider) return known.tracer;
    const send = authority === undefined ? undefined : this.#senderOf(provider, authority);
    if (!send) return undefined;
    const { clock, log } = this.#options;
    const exporter = createSpanExporter({
      clock,
      log: log.child('spans', { provider: provider.name }),
      onDropped: (count) => void (this.#dropped += count),
      send,
    });
    const tracer: Tracer = { exporter, format: provider.use.kind === 'zipkin' ? 'b3-multi' : 'w3c' };
    this.#byProvider.set(provider.name, { provider, tracer });
    return tracer;
  }

  /** Sends what waits; resolves when it was taken or lost. */
  async flush(): Promise<void> {
    await Promise.all([...this.#byProvider.values()].map(({ tracer }) => tracer.exporter.flush()));
  }

  #senderOf({ use, backend }: Provider, authority: string): Send | undefined {
    if (backend === undefined) return undefined;
    const { clock, upstreams, source, log } = this.#options;
    const open = exchangesOf(upstreams, backend, this.#client());
    if (use.kind === 'zipkin') {
      const headers = ['content-type', 'application/json'];
      return (spans) => this.#post({ authority, path: use.path, headers, body: encodeZipkin(spans, source), open });
    }
    if (use.kind !== 'opentelemetry') return undefined;
    const timeoutMs = use.timeoutMs > 0 ? use.timeoutMs : defaultTimeoutMs;
    const tell = (answer: Uint8Array): void => {
      const problem = decodeSpansAnswer(answer);
      if (!problem) return;
      this.#dropped += problem.rejected;
      log.warn('a collector refused spans', problem);
    };
    const fields = use.headers.flatMap(([name, value]) => [name.toLowerCase(), value]);
    if (use.protocol === 'http') {
      const headers = ['content-type', 'application/x-protobuf', ...fields];
      return (spans) =>
        this.#post({ authority, path: use.path, headers, body: encodeSpans(spans, source), open, timeoutMs });
    }
    return async (spans) => {
      const message = encodeSpans(spans, source);
      const metadata = new HeaderList([...fields]);
      const call = callUnary({ open, authority, path: exportSpansPath, message, metadata, clock, timeoutMs });
      tell(await call.answer);
    };
  }

  async #post(request: {
    readonly authority: string;
    readonly path: string;
    readonly headers: readonly string[];
    readonly body: Uint8Array;
    readonly open: ReturnType<typeof exchangesOf>;
    readonly timeoutMs?: number;
  }): Promise<void> {
    const { authority, path, body, open, timeoutMs = defaultTimeoutMs } = request;
    const headers = new HeaderList([...request.headers, 'content-length', String(body.length)]);
    const { status } = await callHttp({
      open,
      head: { method: 'POST', scheme: 'http', authority, path, headers, version: 'http/1.1' },
      body,
      clock: this.#options.clock,
      timeoutMs,
      maxResponseBytes: largestAnswer,
    }).answer;
    if (status < 200 || status > 299) throw new Error(`the collector answered ${status}`);
  }

  #client(): UpstreamClient {
    const { source } = this.#options;
    const identity = this.#options.identity();
    return {
      address: source.address,
      port: 0,
      ...(identity === undefined ? {} : { identity }),
      destination: { address: source.address, port: 0 },
    };
  }
}
