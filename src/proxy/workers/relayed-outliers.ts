/**
 * Outlier detection of several workers is one: each tells the main thread what became of requests, and is told which hosts are out.
 * Answers that are no failures are told only of hosts that have failed since, so that what is well costs a look at shared memory.
 */
import type { OutlierDetection } from '../../api/l7/index.ts';
import { hashText } from '../../decision/balance/index.ts';
import type { Host } from '../upstream/host.ts';
import type { OpenOutliers, Outliers, OutlierWatchOptions } from '../upstream/outlier-watch.ts';
import type { EjectedHost, FromWorker } from './messages.ts';

/** Hosts share places; what comes of it is a message that says nothing new. */
const places = 4096;

export function allocateFailing(): SharedArrayBuffer {
  return new SharedArrayBuffer(places * Int32Array.BYTES_PER_ELEMENT);
}

/** Of the main thread: which hosts have failures that an answer would forgive. */
export class FailingHosts {
  readonly #cells: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.#cells = new Int32Array(memory);
  }

  /** Told of each change once. */
  mark(backend: string, host: string, isFailing: boolean): void {
    Atomics.add(this.#cells, placeOf(backend, host), isFailing ? 1 : -1);
  }
}

/** Of a worker: all its backends'. */
export class OutlierRelay {
  readonly #cells: Int32Array;
  readonly #post: (message: FromWorker) => void;
  readonly #watches = new Map<string, RelayedOutliers>();

  constructor(memory: SharedArrayBuffer, post: (message: FromWorker) => void) {
    this.#cells = new Int32Array(memory);
    this.#post = post;
  }

  readonly open: OpenOutliers = (options, config) => {
    const { backend } = options;
    const watch = new RelayedOutliers(this, options, config);
    this.#watches.set(backend, watch);
    return watch;
  };

  /** The hosts of a backend that are out now. */
  told(backend: string, hosts: readonly EjectedHost[]): void {
    this.#watches.get(backend)?.apply(hosts);
  }

  forget(backend: string, watch: RelayedOutliers): void {
    if (this.#watches.get(backend) === watch) this.#watches.delete(backend);
  }

  post(backend: string, host: string, status: number | undefined): void {
    this.#post({ kind: 'outcome', backend, host, ...(status === undefined ? {} : { status }) });
  }

  isFailing(place: number): boolean {
    return Atomics.load(this.#cells, place) !== 0;
  }
}

class RelayedOutliers implements Outliers {
  readonly #relay: OutlierRelay;
  readonly #options: OutlierWatchOptions;
  readonly #places = new WeakMap<Host, number>();
  #config: OutlierDetection | undefined;
  #ejected = 0;

  constructor(relay: OutlierRelay, options: OutlierWatchOptions, config: OutlierDetection | undefined) {
    this.#relay = relay;
    this.#options = options;
    this.#config = config;
  }

  get ejected(): number {
    return this.#ejected;
  }

  /** Whoever is out stays so until the main thread says otherwise. */
  configure(config: OutlierDetection | undefined): void {
    this.#config = config;
  }

  onStatus(host: Host, status: number): void {
    if (!this.#config || (status < 500 && !this.#relay.isFailing(this.#placeOf(host)))) return;
    this.#relay.post(this.#options.backend, host.key, status);
  }

  onFailure(host: Host): void {
    if (this.#config) this.#relay.post(this.#options.backend, host.key, undefined);
  }

  close(): void {
    this.#relay.forget(this.#options.backend, this);
  }

  apply(ejected: readonly EjectedHost[]): void {
    const { hosts, refresh, onChange } = this.#options;
    const until = new Map(ejected.map(({ host, untilMs }) => [host, untilMs]));
    refresh();
    this.#ejected = 0;
    for (const host of hosts()) {
      host.outlier.ejectedUntilMs = until.get(host.key) ?? 0;
      if (host.isEjected) this.#ejected++;
    }
    onChange();
  }

  #placeOf(host: Host): number {
    let place = this.#places.get(host);
    if (place === undefined) this.#places.set(host, (place = placeOf(this.#options.backend, host.key)));
    return place;
  }
}

function placeOf(backend: string, host: string): number {
  return hashText(`${backend}\0${host}`) % places;
}
