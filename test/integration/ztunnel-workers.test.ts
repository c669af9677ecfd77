/** ztunnel's data parts in worker threads: the tests are in ztunnel-workers-inside.ts, and those of one data part pass with two. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

process.env['AMBIT_TEST_WORKERS'] = '2';

test('data parts in two worker threads', () =>
  runInNetworkNamespace(join(import.meta.dirname, 'ztunnel-workers-inside.ts')));

test('a pair of ztunnels, each with two workers', () =>
  runInNetworkNamespace(join(import.meta.dirname, 'ztunnel-pair-inside.ts')));

test('what holds for one data part holds for two workers', () =>
  runInNetworkNamespace(join(import.meta.dirname, 'ztunnel-data-inside.ts')));
