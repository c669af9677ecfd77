import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tableOf } from '../columns/columns.ts';
import { viewOf } from '../field-view.ts';
import type { KubeObject } from '../meta.ts';
import { validateCrd } from '../validation/crd.ts';
import type { CustomResourceDefinition } from './crd.ts';
import { tryParseJsonPath } from './json-path.ts';
import { servedKinds } from './kind-info.ts';

const definition: CustomResourceDefinition = {
  metadata: { name: 'crontabs.stable.example.com' },
  spec: {
    group: 'stable.example.com',
    scope: 'Namespaced',
    names: { plural: 'crontabs', singular: 'crontab', kind: 'CronTab', listKind: 'CronTabList', shortNames: ['ct'] },
    versions: [
      { name: 'v1beta1', served: true, storage: false, schema: { openAPIV3Schema: { type: 'object' } } },
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: {
                  hosts: { type: 'array', items: { type: 'string' } },
                  size: { type: 'integer', default: 1 },
                },
              },
            },
          },
        },
        additionalPrinterColumns: [
          { name: 'Hosts', type: 'string', jsonPath: '.spec.hosts' },
          { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
          { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status', priority: 1 },
          { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
        ],
      },
      { name: 'v0', served: false, storage: false, schema: { openAPIV3Schema: { type: 'object' } } },
    ],
  },
};

const object = {
  metadata: { name: 'a', namespace: 'default', creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: { hosts: ['x', 'y'] },
  status: {
    conditions: [
      { type: 'Other', status: 'False' },
      { type: 'Ready', status: 'True' },
    ],
  },
} as KubeObject;

const specOf = (given: KubeObject | undefined): unknown => (given as { spec?: unknown } | undefined)?.spec;

describe('a kind by its definition', () => {
  it('is served in each of its versions, with the schema and the columns of that version', () => {
    const [beta, stable, ...others] = servedKinds(definition);
    assert.deepEqual([beta?.version, stable?.version, others], ['v1beta1', 'v1', []]);
    assert.deepEqual(stable?.versions, ['v1', 'v1beta1']);
    const cells = (kind = stable): unknown =>
      kind && tableOf(kind, [object], Date.parse('2026-01-01T00:01:00Z')).rows[0]?.cells;
    assert.deepEqual(cells(), ['a', '["x","y"]', null, 'True', '60s']);
    assert.deepEqual(cells(beta), ['a', '60s']);
    assert.deepEqual(specOf(stable?.defaults(object)), { hosts: ['x', 'y'], size: 1 });
    assert.deepEqual(beta?.schema.properties?.['spec'], undefined);
  });

  it('shows defaults that are younger than an object, and else the object itself', () => {
    const [beta, stable] = servedKinds(definition);
    assert.equal(beta?.onRead?.(object), object);
    assert.deepEqual(specOf(stable?.onRead?.(object)), { hosts: ['x', 'y'], size: 1 });
    assert.equal(stable?.onRead?.(object), stable?.onRead?.(object));
    const complete = stable?.defaults(object) as KubeObject;
    assert.equal(stable?.onRead?.(complete), complete);
  });

  it('says what is wrong with an object, metadata first', () => {
    const [, stable] = servedKinds(definition);
    const bad = { metadata: { name: 'A', namespace: 'default' }, spec: { hosts: [1] } } as KubeObject;
    assert.deepEqual(
      stable?.validate(bad).map(({ path }) => path),
      ['metadata.name', 'spec.hosts[0]'],
    );
  });
});

describe('a definition', () => {
  const problems = (change: (crd: { metadata: { name: string }; spec: Record<string, unknown> }) => void): string[] => {
    const crd = structuredClone(definition) as never;
    change(crd);
    return validateCrd(viewOf(crd), undefined).map(({ path, message }) => `${path}: ${message}`);
  };

  it('is accepted when it is complete', () => {
    assert.deepEqual(
      problems(() => {}),
      [],
    );
  });

  it('is refused with every problem by its path', () => {
    assert.deepEqual(
      problems((crd) => {
        crd.metadata.name = 'x';
        Object.assign(crd.spec, { scope: 'World', conversion: { strategy: 'Webhook' } });
        Object.assign(crd.spec['names'] as object, { kind: 'Cron_Tab', shortNames: ['C'], listKind: '' });
      }).map((each) => each.split(': ').slice(0, 2).join(': ')),
      [
        'metadata.name: Invalid value',
        'spec.names.kind: Invalid value',
        'spec.names.listKind: Required value',
        'spec.names.shortNames[0]: Invalid value',
        'spec.scope: Unsupported value',
        'spec.conversion.strategy: Unsupported value',
      ],
    );
    assert.deepEqual(
      problems((crd) => {
        const [first, second] = crd.spec['versions'] as Record<string, unknown>[];
        Object.assign(first ?? {}, { name: 'v1', storage: true, schema: undefined });
        Object.assign(second ?? {}, {
          additionalPrinterColumns: [{ name: 'A', type: 'text', jsonPath: 'spec' }],
          subresources: { scale: { specReplicasPath: '.status.x', statusReplicasPath: '.status.y' } },
        });
      }),
      [
        'spec.versions: Invalid value: ["v1","v1","v0"]: must contain unique version names',
        'spec.versions: Invalid value: ["v1","v1","v0"]: must have exactly one version marked as storage version',
        'spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required',
        'spec.versions[1].additionalPrinterColumns[0].type: Invalid value: "text": must be one of boolean,date,integer,number,string',
        'spec.versions[1].additionalPrinterColumns[0].JSONPath: Invalid value: "spec": is an invalid path',
        'spec.versions[1].subresources.scale.specReplicasPath: Invalid value: ".status.x": should be a json path under .spec',
      ],
    );
    assert.match(
      problems((crd) => Object.assign(crd.spec, { group: 'x.k8s.io' })).join(),
      /protected groups must have approval/,
    );
  });

  it('keeps its group, scope and names', () => {
    const changed = structuredClone(definition) as unknown as { spec: { scope: string; names: { kind: string } } };
    changed.spec.scope = 'Cluster';
    changed.spec.names.kind = 'Tab';
    assert.deepEqual(
      validateCrd(viewOf(changed), viewOf(definition)).map(({ path, message }) => `${path}: ${message}`),
      [
        'spec.scope: Invalid value: "Cluster": field is immutable',
        'spec.names.kind: Invalid value: "Tab": field is immutable',
      ],
    );
  });
});

describe('simple JSON paths', () => {
  it('find fields, items and what a filter selects', () => {
    const value = {
      metadata: { labels: { 'app.kubernetes.io/name': 'x' } },
      list: [
        { n: 1, v: 'a' },
        { n: 2, v: 'b' },
      ],
    };
    const find = (path: string): unknown => tryParseJsonPath(path)?.(value);
    assert.deepEqual(find(String.raw`.metadata.labels.app\.kubernetes\.io/name`), ['x']);
    assert.deepEqual(find(String.raw`.metadata.labels['app\.kubernetes\.io/name']`), ['x']);
    assert.deepEqual(find('.list[0].v'), ['a']);
    assert.deepEqual(find('.list[-1].v'), ['b']);
    assert.deepEqual(find('.list[*].v'), ['a', 'b']);
    assert.deepEqual(find('.list[?(@.n>1)].v'), ['b']);
    assert.deepEqual(find(`.list[?(@.v=='a')].n`), [1]);
    assert.deepEqual(find('.nothing.here'), []);
    for (const path of ['.a[', '.a[?(x)]', 'a b', '.a..b']) assert.equal(tryParseJsonPath(path), undefined, path);
  });
});
