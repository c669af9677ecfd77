import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import { findContainerCommand } from './image-table.ts';

const images = [
  { pattern: 'ambit/ambit*', command: ['node', 'ambit.ts'] },
  { pattern: '*examples-bookinfo-reviews*', command: ['reviews'] },
  { pattern: 'registry:5000/team/app', command: ['app'] },
];
const command = (image: string, more: { command?: string[]; args?: string[] } = {}): readonly string[] | undefined => {
  const found = findContainerCommand({ name: 'main', image, ...more }, images);
  return found.kind === 'command' ? found.command : undefined;
};

test('an image stands for its command, and args append', () => {
  deepEqual(command('ambit/ambit:latest', { args: ['ztunnel'] }), ['node', 'ambit.ts', 'ztunnel']);
  deepEqual(command('docker.io/istio/examples-bookinfo-reviews-v1:1.20.2'), ['reviews']);
});

test('a command runs as given, whatever the image', () => {
  deepEqual(command('ambit/ambit', { command: ['sleep'], args: ['9'] }), ['sleep', '9']);
  deepEqual(command('unknown', { command: ['x'] }), ['x']);
});

test('a pattern without a tag matches every tag and digest, and dots are dots', () => {
  deepEqual(command('registry:5000/team/app:v1.2'), ['app']);
  deepEqual(command(`registry:5000/team/app@sha256:${'0'.repeat(64)}`), ['app']);
  equal(command('registry:5000/team/app2:v1'), undefined);
  equal(findContainerCommand({ name: 'x', image: 'aXb' }, [{ pattern: 'a.b', command: ['y'] }]).kind, 'unknown');
});

test('an unknown image names the flag to add', () => {
  const found = findContainerCommand({ name: 'main', image: 'nginx:1' }, images);
  match(found.kind === 'unknown' ? found.message : '', /--image 'nginx:1=COMMAND'/);
});

test('a base image runs what the container gives it, or a shell', () => {
  const run = (image: string, args?: string[]): unknown =>
    findContainerCommand({ name: 'c', image, ...(args && { args }) }, [{ pattern: 'alpine', command: ['own'] }]);
  deepEqual(run('busybox', ['sh', '-c', 'date']), { kind: 'command', command: ['sh', '-c', 'date'] });
  deepEqual(run('docker.io/library/debian:12'), { kind: 'command', command: ['sh'] });
  deepEqual(run('alpine:3', ['x']), { kind: 'command', command: ['own', 'x'] });
  equal((run('nginx:alpine') as { kind: string }).kind, 'unknown');
});
