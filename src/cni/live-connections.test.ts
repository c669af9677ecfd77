import { equal } from 'node:assert/strict';
import { test } from 'node:test';
import { countIn } from './live-connections.ts';
import { parseSocketTable } from './socket-table.ts';

const header = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';

function row(local: string, remote: string, state: string, inode = 4711): string {
  return `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0000000000000000 20 4 30 10 -1`;
}

const podIps = ['10.244.1.2'];
const count = (...rows: string[]): number => countIn(parseSocketTable([header, ...rows, ''].join('\n')), podIps);
const pod = '0201F40A';
const client = '0301F40A';
const port = (number: number): string => number.toString(16).toUpperCase().padStart(4, '0');

test("captured connections and those under somebody else's address count", () => {
  equal(count(row(`0100007F:${port(15001)}`, `${pod}:9000`, '01')), 1);
  equal(count(row(`${pod}:${port(15006)}`, `${client}:9000`, '01')), 1);
  equal(count(row(`${client}:${port(40000)}`, `${pod}:1F90`, '01')), 1);
});

test("the application's own connections, tunnels and listeners do not", () => {
  equal(count(row(`${pod}:1F90`, `${client}:9000`, '01')), 0);
  equal(count(row(`${pod}:${port(15008)}`, `${client}:9000`, '01')), 0);
  equal(count(row(`00000000:${port(15006)}`, '00000000:0000', '0A')), 0);
  equal(count(row('0100007F:1F90', '0100007F:9000', '01')), 0);
});

test('half-closed ones count while somebody owns them', () => {
  equal(count(row(`${pod}:${port(15006)}`, `${client}:9000`, '05')), 1);
  equal(count(row(`${pod}:${port(15006)}`, `${client}:9000`, '05', 0)), 0);
  equal(count(row(`${pod}:${port(15006)}`, `${client}:9000`, '06')), 0);
});

test('IPv4 addresses on dual-stack sockets are recognised', () => {
  const mapped = (hex: string): string => `0000000000000000FFFF0000${hex}`;
  equal(count(row(`${mapped(client)}:${port(40000)}`, `${mapped(pod)}:1F90`, '01')), 1);
  equal(count(row(`${mapped(pod)}:1F90`, `${mapped(client)}:9000`, '01')), 0);
});
