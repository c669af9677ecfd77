/** What the control part and the thread of a data worker say to each other, around the messages of messages.ts. */
import type { NetworkId } from '../api/names.ts';
import type { PostedLine } from '../lib/posted-log.ts';
import type { AccessLogFormat } from '../telemetry/index.ts';
import type { DataLimits } from './data/data-context.ts';
import type { DnsSettings } from './dns/dns-shared.ts';
import type { ControlMessage, DataMessage } from './messages.ts';

/** What a worker is started with. */
export interface DataWorkerData {
  /** From 0. */
  readonly worker: number;
  readonly network: NetworkId;
  readonly accessLogFormat: AccessLogFormat;
  readonly accessLogSampling: number;
  readonly limits: Partial<DataLimits>;
  readonly dns?: DnsSettings | undefined;
  /** As `LogLevels.set` takes them. */
  readonly logLevels: string;
}

export type ToWorker =
  | { readonly kind: 'control'; readonly message: ControlMessage }
  | { readonly kind: 'log-levels'; readonly levels: string }
  /** The batch of access log lines is written: the next one may come. */
  | { readonly kind: 'access-log-written' };

export type FromWorker =
  | { readonly kind: 'data'; readonly message: DataMessage }
  /** The worker has its own duplicates of the descriptors of that `serve-pod`. */
  | { readonly kind: 'descriptors-taken'; readonly requestId: number }
  /** Of the scope `data`, or below it. */
  | PostedLine
  /** Whole lines. */
  | { readonly kind: 'access-log'; readonly text: string };
