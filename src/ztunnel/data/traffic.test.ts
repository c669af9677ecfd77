import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBaggage } from '../../hbone/index.ts';
import { meshService, meshWorkload } from '../../mesh/fixtures.ts';
import { identityOf, labelSetOf, trafficLabels, type Traffic } from './traffic.ts';

const client = meshWorkload({ name: 'client' });
const server = meshWorkload({ name: 'server', locality: { region: 'eu', zone: 'a', subzone: '' } });
const plain: Traffic = {
  reporter: 'source',
  source: client,
  sourceIdentity: identityOf(client),
  destination: server,
  destinationIdentity: identityOf(server),
  service: undefined,
};

test('remembered labels are those of the traffic, whatever of it differs', () => {
  const baggage = parseBaggage('k8s.namespace.name=far,service.name=other');
  const all: Traffic[] = [
    plain,
    { ...plain, reporter: 'destination' },
    { ...plain, sourceIdentity: undefined },
    { ...plain, destinationIdentity: identityOf(client) },
    { ...plain, service: meshService() },
    { ...plain, source: undefined, sourceIdentity: undefined },
    { ...plain, destination: undefined },
    { ...plain, source: server, destination: client },
    { ...plain, source: baggage },
    { ...plain, destination: baggage },
    // The workload changed: it is another object.
    { ...plain, source: { ...client, canonicalRevision: 'v2' } },
  ];
  for (let round = 0; round < 2; round++) {
    for (const traffic of all) {
      const labels = labelSetOf(traffic);
      assert.deepEqual(labels.values, trafficLabels(traffic, '-'));
      assert.equal(labels.key, labels.values.join('\0'));
    }
  }
  assert.equal(labelSetOf(plain), labelSetOf({ ...plain }), 'made once');
});

test('labels of very many workloads are forgotten and made again', () => {
  for (let i = 0; i < 3000; i++) labelSetOf({ ...plain, source: meshWorkload({ name: `client-${i}` }) });
  assert.deepEqual(labelSetOf(plain).values, trafficLabels(plain, '-'));
  assert.equal(labelSetOf(plain), labelSetOf({ ...plain }));
});
