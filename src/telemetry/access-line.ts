/** Lines of the access log: Istio's field names and order, as text or JSON. */

import { createIsoFormatter } from './log-time.ts';

/** One end of a connection. What is not known is absent. */
export interface AccessLogPeer {
  /** `ip:port` */
  readonly addr: string;
  readonly workload?: string | undefined;
  readonly namespace?: string | undefined;
  /** SPIFFE id; only where mutual TLS proved it. */
  readonly identity?: string | undefined;
  readonly cluster?: string | undefined;
}

export interface AccessLogRecord {
  readonly source: AccessLogPeer;
  readonly destination: AccessLogPeer & {
    /** CONNECT target, where `addr` is the tunnel's. */
    readonly hboneAddr?: string | undefined;
    readonly service?: string | undefined;
  };
  readonly direction: 'inbound' | 'outbound';
  /** As the workload beside the proxy sees it: sent by it, received by it. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly durationMs: number;
  /** `<namespace>/<name>` of the policy that decided, where one did. */
  readonly policy?: string | undefined;
  readonly traceId?: string | undefined;
  /** Why it failed; absent after success. */
  readonly error?: string | undefined;
}

export type AccessLogFormat = 'text' | 'json';
export type AccessLogLevel = 'debug' | 'info' | 'warn' | 'error';

/** What is known of a connection that just began. */
export type OpenedRecord = Omit<AccessLogRecord, 'bytesSent' | 'bytesReceived' | 'durationMs' | 'policy' | 'error'>;
/** What is known of a connection that never began. */
export type FailedRecord = Pick<AccessLogRecord, 'source' | 'destination' | 'direction' | 'error'>;

/** Whole lines, without their newlines. */
export interface LineFormat {
  complete(nowMs: number, record: AccessLogRecord): string;
  opened(nowMs: number, record: OpenedRecord): string;
  failed(nowMs: number, record: FailedRecord): string;
  /** In place of lines that were lost. */
  dropped(nowMs: number, count: number): string;
}

export function lineFormat(format: AccessLogFormat): LineFormat {
  const notation = format === 'json' ? jsonNotation : textNotation;
  const formatTime = createTimeFormatter();
  const head = (nowMs: number, level: AccessLogLevel, message: string): string =>
    notation.head(formatTime(nowMs), level, message);
  return {
    complete(nowMs, record) {
      const level = record.error === undefined ? 'info' : 'error';
      return head(nowMs, level, 'connection complete') + completeFields(notation, record) + notation.tail;
    },
    opened: (nowMs, record) =>
      head(nowMs, 'debug', 'connection opened') +
      whoAndWhere(notation, record) +
      traceField(notation, record) +
      notation.tail,
    failed: (nowMs, record) =>
      head(nowMs, 'warn', 'connection failed') + failedFields(notation, record) + notation.tail,
    dropped: (nowMs, count) =>
      `${head(nowMs, 'warn', 'access log lines dropped')}${notation.first('count')}${count}${notation.tail}`,
  };
}

/** How a format writes what surrounds the values; names and errors are JSON strings in both. */
interface Notation {
  head(time: string, level: AccessLogLevel, message: string): string;
  readonly tail: string;
  /** What comes before the value of the first field of a line. */
  first(name: string): string;
  /** What comes before the values of the other fields, by field. */
  readonly before: Before;
  /** An address: text does not quote it, as it needs no escaping. */
  readonly address: (value: string) => string;
  readonly sourceNames: PeerNames;
  readonly destinationNames: PeerNames;
}

type NamedPeer = AccessLogPeer & { readonly service?: string | undefined };
type PeerNames = (peer: NamedPeer) => string;

const fieldNames = {
  sourceAddr: 'src.addr',
  sourceWorkload: 'src.workload',
  sourceNamespace: 'src.namespace',
  sourceIdentity: 'src.identity',
  sourceCluster: 'src.cluster',
  destinationAddr: 'dst.addr',
  destinationHboneAddr: 'dst.hbone_addr',
  destinationService: 'dst.service',
  destinationWorkload: 'dst.workload',
  destinationNamespace: 'dst.namespace',
  destinationIdentity: 'dst.identity',
  destinationCluster: 'dst.cluster',
  direction: 'direction',
  bytesSent: 'bytes_sent',
  bytesReceived: 'bytes_recv',
  duration: 'duration',
  traceId: 'trace_id',
  policy: 'policy',
  error: 'error',
} as const;
type FieldName = keyof typeof fieldNames;
type Before = Readonly<Record<FieldName, string>>;

/** The source's address is in every line, and first. */
function beforeFields(notation: (name: string, first: boolean) => string): Before {
  const entries = Object.entries(fieldNames).map(([key, name]) => [key, notation(name, key === 'sourceAddr')]);
  return Object.fromEntries(entries) as Before;
}

const beforeText = beforeFields((name, first) => (first ? `${name}=` : ` ${name}=`));
const beforeJson = beforeFields((name) => `,"${name}":`);

const textNotation: Notation = {
  head: (time, level, message) => `${time}\t${level}\taccess\t${message}\t`,
  tail: '',
  first: (name) => `${name}=`,
  before: beforeText,
  address: (value) => value,
  sourceNames: rememberNames((peer) => sourceNames(beforeText, peer)),
  destinationNames: rememberNames((peer) => destinationNames(beforeText, peer)),
};

const jsonNotation: Notation = {
  head: (time, level, message) => `{"level":"${level}","time":"${time}","scope":"access","message":"${message}"`,
  tail: '}',
  first: (name) => `,"${name}":`,
  before: beforeJson,
  address: quoted,
  sourceNames: rememberNames((peer) => sourceNames(beforeJson, peer)),
  destinationNames: rememberNames((peer) => destinationNames(beforeJson, peer)),
};

// Hot: a line a connection. One concatenation without pairs to loop over, times by the second, quotes put around what needs no
// escaping, the names of a pod remembered: under half the time of pairs (bench/micro/access-log.ts; the plain way is the test's oracle).

function completeFields(notation: Notation, record: AccessLogRecord): string {
  const { before } = notation;
  return (
    whoAndWhere(notation, record) +
    before.bytesSent +
    record.bytesSent +
    before.bytesReceived +
    record.bytesReceived +
    before.duration +
    `"${Math.round(record.durationMs)}ms"` +
    traceField(notation, record) +
    named(before.policy, record.policy) +
    named(before.error, record.error)
  );
}

function whoAndWhere(notation: Notation, { source, destination, direction }: OpenedRecord): string {
  const { before, address } = notation;
  return (
    before.sourceAddr +
    address(source.addr) +
    notation.sourceNames(source) +
    before.destinationAddr +
    address(destination.addr) +
    (destination.hboneAddr === undefined ? '' : before.destinationHboneAddr + address(destination.hboneAddr)) +
    notation.destinationNames(destination) +
    before.direction +
    `"${direction}"`
  );
}

function traceField({ before }: Notation, { traceId }: OpenedRecord): string {
  return traceId === undefined ? '' : before.traceId + quoted(traceId);
}

function sourceNames(before: Before, peer: NamedPeer): string {
  return (
    named(before.sourceWorkload, peer.workload) +
    named(before.sourceNamespace, peer.namespace) +
    named(before.sourceIdentity, peer.identity) +
    named(before.sourceCluster, peer.cluster)
  );
}

function destinationNames(before: Before, peer: NamedPeer): string {
  return (
    named(before.destinationService, peer.service) +
    named(before.destinationWorkload, peer.workload) +
    named(before.destinationNamespace, peer.namespace) +
    named(before.destinationIdentity, peer.identity) +
    named(before.destinationCluster, peer.cluster)
  );
}

/**
 * Pods repeat from line to line. Remembers the fields of each by its workload's name, and takes them only while the others are equal;
 * the memory is emptied now and then, and holds nothing long.
 */
function rememberNames(write: PeerNames): PeerNames {
  const known = new Map<string, { readonly peer: NamedPeer; readonly text: string }>();
  return (peer) => {
    const { workload } = peer;
    if (workload === undefined) return write(peer);
    const last = known.get(workload);
    if (last !== undefined && hasSameNames(last.peer, peer)) return last.text;
    const text = write(peer);
    if (known.size >= 1024) known.clear();
    if (text.length <= 1024) known.set(workload, { peer, text });
    return text;
  };
}

function hasSameNames(a: NamedPeer, b: NamedPeer): boolean {
  return (
    a.workload === b.workload &&
    a.namespace === b.namespace &&
    a.identity === b.identity &&
    a.cluster === b.cluster &&
    a.service === b.service
  );
}

function failedFields({ before, address }: Notation, { source, destination, direction, error }: FailedRecord): string {
  return (
    before.sourceAddr +
    address(source.addr) +
    named(before.sourceWorkload, source.workload) +
    named(before.sourceNamespace, source.namespace) +
    before.destinationAddr +
    address(destination.addr) +
    before.direction +
    `"${direction}"` +
    named(before.error, error)
  );
}

/** A field that is left out when there is nothing to tell. */
function named(before: string, value: string | undefined): string {
  return value === undefined || value === '' ? '' : before + quoted(value);
}

/** ASCII without controls, quote and backslash. */
const needsNoEscaping = /^[ !#-[\]-~]*$/;

/** As JSON.stringify. */
function quoted(text: string): string {
  return needsNoEscaping.test(text) ? `"${text}"` : JSON.stringify(text);
}

/** ISO 8601 with the milliseconds padded to the microseconds that readers of this format expect. */
function createTimeFormatter(): (nowMs: number) => string {
  const format = createIsoFormatter();
  return (nowMs) => `${format(nowMs).slice(0, -1)}000Z`;
}
