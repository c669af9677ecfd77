/** `node --expose-gc bench/micro/members.ts`: nanoseconds of a member that comes and goes, the garbage collector's included. */
import { StreamMap } from '../../src/http/h2/stream-map.ts';
import { LinkedList } from '../../src/lib/linked-list.ts';

const rounds = 9;
const members = 20_000;
const atOnce = 16;
let nextId = 2 * atOnce + 1;

interface Member {
  readonly id: number;
  readonly payload: readonly number[];
}

/** Adds a member; the returned function takes it out. */
type Add = (member: Member) => () => void;

const kinds: Readonly<Record<string, () => Add>> = {
  Set() {
    const set = new Set<Member>();
    return (member) => {
      set.add(member);
      return () => void set.delete(member);
    };
  },
  LinkedList() {
    const list = new LinkedList<Member>();
    return (member) => {
      const link = list.add(member);
      return () => void list.remove(link);
    };
  },
  Map() {
    const map = new Map<number, Member>();
    return (member) => {
      map.set(member.id, member);
      return () => void map.delete(member.id);
    };
  },
  StreamMap() {
    const map = new StreamMap<Member>();
    return (member) => {
      map.add(member);
      return () => map.delete(member.id);
    };
  },
};

const collect = globalThis.gc;
if (!collect) throw new Error('Run: node --expose-gc bench/micro/members.ts');

for (const [name, make] of Object.entries(kinds)) {
  const add = make();
  const leave: (() => void)[] = [];
  for (let i = 0; i < atOnce; i++) leave.push(add({ id: 2 * i + 1, payload: [] }));
  const runs = Array.from({ length: rounds }, () => measure(add, leave, collect)).toSorted((a, b) => a - b);
  process.stdout.write(`${name.padEnd(10)} ${runs[rounds >> 1]?.toFixed(0)} ns\n`);
}

function measure(add: Add, leave: (() => void)[], collect: NodeJS.GCFunction): number {
  // What is there is in the old generation afterwards, as in a proxy that runs for hours.
  for (let i = 0; i < 3; i++) collect();
  const startNs = process.hrtime.bigint();
  for (let i = 0; i < members; i++) {
    leave[i % atOnce]?.();
    leave[i % atOnce] = add({ id: (nextId += 2), payload: [i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i] });
  }
  return Number(process.hrtime.bigint() - startNs) / members;
}
