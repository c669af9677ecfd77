import { deepEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { decodeProtobufBody } from './protobuf-body.ts';

const message = (fill: (writer: BinaryWriter) => void): Uint8Array => {
  const writer = new BinaryWriter();
  fill(writer);
  return writer.finish();
};
const bytes = (writer: BinaryWriter, field: number, value: Uint8Array): BinaryWriter =>
  writer.tag(field, WireType.LengthDelimited).bytes(value);
const text = (writer: BinaryWriter, field: number, value: string): BinaryWriter =>
  writer.tag(field, WireType.LengthDelimited).string(value);
const body = (kind: string, raw: Uint8Array): Buffer => {
  const typeMeta = message((writer) => text(text(writer, 1, 'v1'), 2, kind));
  return Buffer.concat([Buffer.from('k8s\0'), message((writer) => bytes(bytes(writer, 1, typeMeta), 2, raw))]);
};
const metadata = message((writer) => {
  text(text(writer, 1, 'settings'), 2, '');
  bytes(writer, 8, new Uint8Array());
  bytes(
    writer,
    11,
    message((entry) => text(text(entry, 1, 'app'), 2, 'web')),
  );
});

test('a ConfigMap reads as its JSON would, empty fields left out', () => {
  const raw = message((writer) => {
    bytes(writer, 1, metadata);
    bytes(
      writer,
      2,
      message((entry) => text(text(entry, 1, 'a'), 2, '')),
    );
    bytes(
      writer,
      3,
      message((entry) => bytes(text(entry, 1, 'b'), 2, Uint8Array.of(1, 2))),
    );
  });
  deepEqual(decodeProtobufBody(body('ConfigMap', raw)), {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'settings', labels: { app: 'web' } },
    data: { a: '' },
    binaryData: { b: 'AQI=' },
  });
});

test('a zero that means something is kept', () => {
  const raw = message((writer) => writer.tag(1, WireType.Varint).int64(0));
  deepEqual(decodeProtobufBody(body('DeleteOptions', raw)), {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    gracePeriodSeconds: 0,
  });
});

test('fields that are not known are refused unless they are empty', () => {
  const ignored = message((writer) => text(bytes(writer, 1, metadata), 77, ''));
  deepEqual(decodeProtobufBody(body('Namespace', ignored))['kind'], 'Namespace');
  const refused = message((writer) => text(bytes(writer, 1, metadata), 77, 'x'));
  throws(() => decodeProtobufBody(body('Namespace', refused)), { code: 'apiserver.unsupported-media-type' });
  throws(() => decodeProtobufBody(body('Pod', metadata)), { code: 'apiserver.unsupported-media-type' });
});

test('garbage is a bad request', () => {
  const good = body(
    'ConfigMap',
    message((writer) => bytes(writer, 1, metadata)),
  );
  for (const bad of [
    Buffer.from('nope'),
    Buffer.alloc(0),
    good.subarray(0, -3),
    Buffer.concat([Buffer.from('k8s\0'), Buffer.from([0xff, 0xff])]),
  ]) {
    throws(() => decodeProtobufBody(bad), { code: 'apiserver.bad-request' });
  }
});
