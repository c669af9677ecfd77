/** Writes profiles in the format of `go tool pprof` (github.com/google/pprof, proto/profile.proto), gzipped. */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { ThreadProfile } from './profile.ts';

export interface NamedProfile {
  /** Becomes the label `thread` of its samples. */
  readonly thread: string;
  readonly recorded: ThreadProfile;
}

/** A function in the code, at the line where V8 saw it. */
interface Frame {
  readonly name: string;
  readonly file: string;
  readonly line: number;
}

interface Sample {
  /** Innermost first. */
  readonly stack: readonly Frame[];
  readonly values: readonly number[];
}

const valueTypes = {
  cpu: [
    ['samples', 'count'],
    ['cpu', 'nanoseconds'],
  ],
  heap: [['inuse_space', 'bytes']],
} as const;

/** All of the same kind. */
export async function writePprof(profiles: readonly NamedProfile[], nowMs: number): Promise<Buffer> {
  const kind = profiles[0]?.recorded.kind ?? 'cpu';
  const writer = new Writer();
  for (const [type, unit] of valueTypes[kind]) writer.message(1, writer.valueType(type, unit));
  let durationNs = 0;
  for (const { thread, recorded } of profiles) {
    const samples = recorded.kind === 'cpu' ? cpuSamples(recorded.profile) : heapSamples(recorded.profile);
    for (const { stack, values } of samples) writer.sample(stack, values, thread);
    if (recorded.kind === 'cpu') {
      durationNs = Math.max(durationNs, (recorded.profile.endTime - recorded.profile.startTime) * 1000);
    }
  }
  writer.number(9, nowMs * 1e6);
  if (kind === 'cpu') {
    writer.number(10, durationNs);
    writer.message(11, writer.valueType('cpu', 'nanoseconds'));
    writer.number(12, 1e6);
  }
  return promisify(gzip)(writer.finish());
}

/** Not what is spent waiting: nobody works then. */
function cpuSamples(profile: Extract<ThreadProfile, { kind: 'cpu' }>['profile']): Sample[] {
  const parents = new Map<number, number>();
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  for (const { id, children = [] } of profile.nodes) for (const child of children) parents.set(child, id);
  const totals = new Map<number, { count: number; us: number }>();
  for (const [i, id] of (profile.samples ?? []).entries()) {
    const total = totals.get(id) ?? { count: 0, us: 0 };
    total.count++;
    total.us += Math.max(0, profile.timeDeltas?.[i] ?? 0);
    totals.set(id, total);
  }
  const samples: Sample[] = [];
  for (const [id, { count, us }] of totals) {
    const stack: Frame[] = [];
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const frame = nodes.get(at)?.callFrame;
      if (frame) stack.push(frameOf(frame));
    }
    if (stack[0]?.name !== '(idle)') samples.push({ stack, values: [count, us * 1000] });
  }
  return samples;
}

type HeapNode = Extract<ThreadProfile, { kind: 'heap' }>['profile']['head'];

function heapSamples({ head }: Extract<ThreadProfile, { kind: 'heap' }>['profile']): Sample[] {
  const found: Sample[] = [];
  const visit = (node: HeapNode, above: readonly Frame[]): void => {
    const stack = [frameOf(node.callFrame), ...above];
    if (node.selfSize > 0) found.push({ stack, values: [node.selfSize] });
    for (const child of node.children) visit(child, stack);
  };
  visit(head, []);
  return found;
}

function frameOf({ functionName, url, lineNumber }: HeapNode['callFrame']): Frame {
  return { name: functionName || '(anonymous)', file: url, line: Math.max(0, lineNumber + 1) };
}

/** Protocol buffers by hand: the format is small and does not change. */
class Writer {
  readonly #parts: Buffer[] = [];
  readonly #strings = new Map<string, number>([['', 0]]);
  readonly #locations = new Map<string, number>();

  number(field: number, value: number): void {
    this.#parts.push(varint(field * 8), varint(value));
  }

  message(field: number, body: Buffer): void {
    this.#parts.push(delimited(field, body));
  }

  valueType(type: string, unit: string): Buffer {
    return Buffer.concat([varint(8), varint(this.#string(type)), varint(16), varint(this.#string(unit))]);
  }

  sample(stack: readonly Frame[], values: readonly number[], thread: string): void {
    const locations = stack.map((frame) => varint(this.#location(frame)));
    const label = [varint(8), varint(this.#string('thread')), varint(16), varint(this.#string(thread))];
    this.message(
      2,
      Buffer.concat([
        delimited(1, Buffer.concat(locations)),
        delimited(2, Buffer.concat(values.map(varint))),
        delimited(3, Buffer.concat(label)),
      ]),
    );
  }

  finish(): Buffer {
    for (const text of this.#strings.keys()) this.message(6, Buffer.from(text));
    return Buffer.concat(this.#parts);
  }

  /** One function and one location each: V8 tells no addresses. */
  #location({ name, file, line }: Frame): number {
    const key = `${name}\0${file}\0${line}`;
    const known = this.#locations.get(key);
    if (known !== undefined) return known;
    const id = this.#locations.size + 1;
    this.#locations.set(key, id);
    const named = varint(this.#string(name));
    const at = [varint(8), varint(id), varint(16), varint(line)];
    this.message(4, Buffer.concat([varint(8), varint(id), delimited(4, Buffer.concat(at))]));
    const told = [varint(8), varint(id), varint(16), named, varint(24), named];
    this.message(5, Buffer.concat([...told, varint(32), varint(this.#string(file)), varint(40), varint(line)]));
    return id;
  }

  #string(text: string): number {
    const known = this.#strings.get(text);
    if (known !== undefined) return known;
    const index = this.#strings.size;
    this.#strings.set(text, index);
    return index;
  }
}

function delimited(field: number, body: Buffer): Buffer {
  return Buffer.concat([varint(field * 8 + 2), varint(body.length), body]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt(Math.max(0, Math.round(value)));
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}
