/** Sequences of requests whose answers are compared with those of a real API server. */

export interface Step {
  readonly method: string;
  readonly path: string;
  readonly type?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: everything. `reason`: only status and reason, where wording is the parser's own. */
  readonly compare?: 'reason' | 'status';
}

export interface Case {
  readonly name: string;
  readonly steps: readonly Step[];
}

const maps = '/api/v1/namespaces/default/configmaps';
const deployments = '/apis/apps/v1/namespaces/default/deployments';
const json = 'application/json-patch+json';
const merge = 'application/merge-patch+json';
const strategic = 'application/strategic-merge-patch+json';
const apply = 'application/apply-patch+yaml';

type Fields = Record<string, unknown>;

const map = (name: string, fields: Fields = {}, metadata: Fields = {}): Fields => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
  ...fields,
});
const applyMap = (manager: string, name: string, fields: Fields, metadata: Fields = {}, query = ''): Step => ({
  method: 'PATCH',
  path: `${maps}/${name}?fieldManager=${manager}${query}`,
  type: apply,
  body: map(name, fields, metadata),
});
const deployment = (name: string, spec: Fields): Fields => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec,
});
const template = (containers: readonly Fields[], rest: Fields = {}): Fields => ({
  selector: { matchLabels: { app: 'x' } },
  template: { metadata: { labels: { app: 'x' } }, spec: { containers, ...rest } },
});
const applyDeployment = (manager: string, name: string, spec: Fields, query = ''): Step => ({
  method: 'PATCH',
  path: `${deployments}/${name}?fieldManager=${manager}${query}`,
  type: apply,
  body: deployment(name, spec),
});
const post = (path: string, body: unknown, query = ''): Step => ({ method: 'POST', path: path + query, body });
const put = (path: string, body: unknown): Step => ({ method: 'PUT', path, body });
const get = (path: string): Step => ({ method: 'GET', path });
const remove = (path: string, body?: unknown): Step => ({
  method: 'DELETE',
  path,
  ...(body !== undefined && { body }),
});
const patch = (type: string, path: string, body: unknown, compare?: 'reason' | 'status'): Step => ({
  method: 'PATCH',
  path,
  type,
  body,
  ...(compare && { compare }),
});

export const differentialCases: readonly Case[] = [
  {
    name: 'apply creates, changes, and removes what is no longer applied',
    steps: [
      applyMap('one', 'ssa', { data: { a: '1', b: '2' } }, { labels: { x: 'y' }, annotations: { n: 'm' } }),
      applyMap('one', 'ssa', { data: { a: '1', b: '2' } }, { labels: { x: 'y' }, annotations: { n: 'm' } }),
      applyMap('one', 'ssa', { data: { a: '3' } }, { labels: { x: 'z' } }),
      applyMap('one', 'ssa', {}),
      applyMap('one', 'ssa', { data: { c: '1' } }, { finalizers: ['a/b', 'c/d'] }),
      applyMap('two', 'ssa', {}, { finalizers: ['c/d', 'e/f'] }),
      applyMap('one', 'ssa', {}),
      applyMap('two', 'ssa', {}),
      remove(`${maps}/ssa`),
    ],
  },
  {
    name: 'appliers share, conflict, and force',
    steps: [
      applyMap('one', 'conflicts', { data: { a: '1', b: '2' } }),
      applyMap('two', 'conflicts', { data: { a: '1', c: '3' } }),
      applyMap('two', 'conflicts', { data: { a: '2', b: '3' } }),
      applyMap('two', 'conflicts', { data: { a: '2' } }),
      applyMap('two', 'conflicts', { data: { a: '2', b: '3' } }, {}, '&force=true'),
      applyMap('one', 'conflicts', { data: { a: '1' } }),
      applyMap('one', 'conflicts', {}),
      applyMap('two', 'conflicts', {}),
      get(`${maps}/conflicts`),
    ],
  },
  {
    name: 'updates take ownership, and appliers conflict with them',
    steps: [
      applyMap('one', 'mixed', { data: { a: '1', b: '2' } }),
      patch(merge, `${maps}/mixed?fieldManager=editor`, { data: { a: '9', z: '1' } }),
      applyMap('one', 'mixed', { data: { a: '1', b: '2' } }),
      applyMap('one', 'mixed', { data: { a: '1', b: '2' } }, {}, '&force=true'),
      patch(merge, `${maps}/mixed?fieldManager=editor`, { data: { z: null } }),
      patch(merge, `${maps}/mixed`, { metadata: { managedFields: [{}] } }),
      patch(merge, `${maps}/mixed`, { data: { q: '1' } }),
      applyMap('one', 'mixed', { data: { a: '5' } }),
      applyMap('one', 'mixed', { data: { a: '1', b: '2', c: '3' } }),
    ],
  },
  {
    name: 'lists of a deployment merge by their keys',
    steps: [
      applyDeployment('one', 'lists', {
        replicas: 2,
        ...template([
          { name: 'a', image: 'a', ports: [{ containerPort: 80 }, { containerPort: 80, protocol: 'UDP' }] },
          { name: 'b', image: 'b', env: [{ name: 'X', value: '1' }] },
        ]),
      }),
      applyDeployment(
        'two',
        'lists',
        template([
          { name: 'c', image: 'c' },
          { name: 'a', env: [{ name: 'Y', value: '2' }] },
        ]),
      ),
      applyDeployment('two', 'lists', template([{ name: 'a', image: 'other' }])),
      applyDeployment('one', 'lists', template([{ name: 'b', image: 'b2' }])),
      applyDeployment(
        'two',
        'lists',
        template(
          [
            { name: 'b', image: 'b2' },
            { name: 'a', image: 'a' },
          ],
          { nodeSelector: { a: 'b' } },
        ),
      ),
      applyDeployment('three', 'lists', template([{ name: 'b', image: 'b2' }], { nodeSelector: { a: 'c' } })),
      patch(strategic, `${deployments}/lists?fieldManager=smp`, {
        spec: { template: { spec: { containers: [{ name: 'b', image: 'smp' }] } } },
      }),
      patch(json, `${deployments}/lists?fieldManager=jp`, [
        { op: 'test', path: '/spec/template/spec/containers/0/name', value: 'b' },
        { op: 'add', path: '/spec/template/spec/containers/0/env', value: [{ name: 'Z', value: '3' }] },
      ]),
      applyDeployment('one', 'lists', template([{ name: 'b', image: 'b2' }])),
      get(`${deployments}/lists`),
    ],
  },
  {
    name: 'status and scale have managers of their own',
    steps: [
      post(
        deployments,
        deployment('sub', { replicas: 1, ...template([{ name: 'a', image: 'a' }]) }),
        '?fieldManager=creator',
      ),
      {
        method: 'PATCH',
        path: `${deployments}/sub/status?fieldManager=writer`,
        type: apply,
        body: {
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          metadata: { name: 'sub' },
          status: { replicas: 3, observedGeneration: 1 },
        },
      },
      patch(merge, `${deployments}/sub/status?fieldManager=other`, { status: { replicas: 4 }, spec: { replicas: 9 } }),
      patch(merge, `${deployments}/sub/scale?fieldManager=scaler`, { spec: { replicas: 5 } }),
      get(`${deployments}/sub`),
      get(`${deployments}/sub/scale`),
      applyDeployment('one', 'sub', { replicas: 6 }),
    ],
  },
  {
    name: 'configurations that cannot be applied',
    steps: [
      applyMap('one', 'bad', { data: { a: '1' } }),
      applyMap('two', 'bad', { foo: 1 }),
      applyMap('two', 'bad', {}, { managedFields: [] }),
      applyMap('two', 'bad', {}, { name: 'other' }),
      { method: 'PATCH', path: `${maps}/bad`, type: apply, body: map('bad') },
      { method: 'PATCH', path: `${maps}/bad?fieldManager=two`, type: apply, body: { ...map('bad'), kind: 'Pod' } },
      { method: 'PATCH', path: `${maps}/bad?fieldManager=two`, type: apply, body: { data: {} } },
      { method: 'PATCH', path: `${maps}/bad?fieldManager=two`, type: apply, body: '{', compare: 'reason' },
      { method: 'PATCH', path: `${maps}/bad?fieldManager=two`, type: apply, body: '[1]', compare: 'reason' },
      applyDeployment(
        'two',
        'bad',
        template([
          { name: 'a', image: 'a' },
          { name: 'a', image: 'b' },
        ]),
      ),
      applyDeployment('two', 'bad', { replicas: 'x' }),
      // The real server lists several problems in no order.
      {
        ...applyDeployment('two', 'bad', { ...template([{ name: 'a', image: 'x', foo: 1 }]), replicas: 'x' }),
        compare: 'reason',
      },
      applyDeployment('two', 'bad', template(['x' as unknown as Fields])),
      applyMap('two', 'bad', {}, { resourceVersion: '1' }),
      applyMap('two', 'bad-new', {}, { uid: 'ffffffff-0000-0000-0000-000000000000' }),
      applyMap('two', 'bad', { data: { b: '1' } }, {}, '&dryRun=All'),
      get(`${maps}/bad`),
      applyMap('two', 'made-dry', { data: { b: '1' } }, {}, '&dryRun=All'),
      get(`${maps}/made-dry`),
    ],
  },
  {
    name: 'patches and their refusals',
    steps: [
      post(maps, map('patched', { data: { a: '1', b: '2' } })),
      patch(json, `${maps}/patched`, [{ op: 'test', path: '/data/a', value: 'no' }]),
      patch(json, `${maps}/patched`, [{ op: 'remove', path: '/data/zzz' }]),
      patch(json, `${maps}/patched`, [{ op: 'replace', path: '/data/zzz', value: 'x' }]),
      patch(json, `${maps}/patched`, [{ op: 'add', path: '/x/y', value: 'x' }]),
      patch(json, `${maps}/patched`, [{ op: 'foo', path: '/data/a', value: 'x' }]),
      patch(json, `${maps}/patched`, [{ op: 'move', from: '/data/a', path: '/data/moved' }]),
      patch(json, `${maps}/patched`, [{ op: 'copy', from: '/data/b', path: '/data/copied' }]),
      patch(json, `${maps}/patched`, '[{"op":', 'reason'),
      patch(json, `${maps}/patched`, { op: 'add' }, 'reason'),
      patch(json, `${maps}/patched`, [{ op: 'replace', path: '/metadata/name', value: 'z' }]),
      patch(json, `${maps}/patched`, [{ op: 'replace', path: '/metadata/namespace', value: 'z' }]),
      patch(merge, `${maps}/patched`, '{', 'reason'),
      patch(merge, `${maps}/patched`, [1], 'reason'),
      patch(merge, `${maps}/patched`, { metadata: { resourceVersion: '1' } }),
      patch(merge, `${maps}/patched`, { metadata: { resourceVersion: '{rv}' }, data: { a: '7' } }),
      patch(merge, `${maps}/nothing`, {}),
      patch(merge, `${maps}/patched`, { metadata: { labels: { 'bad value!': 'x' } } }),
      patch(merge, `${maps}/patched?dryRun=foo`, {}),
      patch(merge, `${maps}/patched?fieldValidation=foo`, {}),
      patch(merge, `${maps}/patched?force=true`, {}),
      patch(merge, `${maps}/patched?fieldManager=${'x'.repeat(130)}`, {}),
      patch('application/json', `${maps}/patched`, {}),
      patch(strategic, `${maps}/patched`, { data: { b: null }, metadata: { labels: { a: 'b' } } }),
      patch(merge, `${maps}/patched`, {}),
    ],
  },
  {
    name: 'strategic merge of lists',
    steps: [
      post(
        deployments,
        deployment(
          'smp',
          template(
            [
              { name: 'a', image: 'a', args: ['x'] },
              { name: 'b', image: 'b' },
            ],
            { volumes: [{ name: 'v', emptyDir: {} }] },
          ),
        ),
      ),
      patch(strategic, `${deployments}/smp`, {
        spec: {
          template: {
            spec: {
              $setElementOrder: undefined,
              containers: [
                { name: 'b', $patch: 'delete' },
                { name: 'c', image: 'c' },
              ],
            },
          },
        },
      }),
      patch(strategic, `${deployments}/smp`, {
        spec: {
          template: {
            spec: {
              '$setElementOrder/containers': [{ name: 'c' }, { name: 'a' }],
              containers: [{ name: 'c', image: 'c2' }],
            },
          },
        },
      }),
      patch(strategic, `${deployments}/smp`, { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } }),
      patch(strategic, `${deployments}/smp`, {
        spec: {
          template: {
            spec: { volumes: [{ name: 'v', $retainKeys: ['name', 'configMap'], configMap: { name: 'm' } }] },
          },
        },
      }),
      patch(strategic, `${deployments}/smp`, {
        spec: { template: { spec: { containers: [{ $patch: 'replace' }, { name: 'only', image: 'o' }] } } },
      }),
      patch(strategic, `${deployments}/smp`, { metadata: { finalizers: ['a/b', 'c/d'] } }),
      patch(strategic, `${deployments}/smp`, { metadata: { '$deleteFromPrimitiveList/finalizers': ['a/b'] } }),
      patch(strategic, `${deployments}/smp`, { metadata: { labels: { a: 'b' } } }),
      patch(strategic, `${deployments}/smp`, { metadata: { labels: { $patch: 'replace', c: 'd' } } }),
    ],
  },
  {
    name: 'creates and updates that are refused',
    steps: [
      post(maps, map('refused', { data: { a: '1' } })),
      post(maps, map('refused')),
      post(maps, { ...map(''), metadata: {} }),
      post(maps, map('Bad_Name')),
      post(maps, map('x', {}, { namespace: 'kube-system' })),
      post(maps, map('x', { dta: 1 }), '?fieldValidation=Strict'),
      post(maps, map('unknown', { dta: 1 }), '?fieldValidation=Warn'),
      post(maps, map('ignored', { dta: 1 }), '?fieldValidation=Ignore'),
      post('/api/v1/namespaces/nope/configmaps', map('x')),
      put(`${maps}/refused`, map('refused', {}, { resourceVersion: '1' })),
      put(`${maps}/refused`, map('other')),
      put(`${maps}/refused`, { ...map(''), metadata: {} }),
      put(`${maps}/nothing`, map('nothing')),
      put(`${maps}/refused`, map('refused', { data: { b: '2' } })),
      put(`${maps}/refused`, map('refused', { data: { b: '2' } })),
      put(maps, {}),
      patch(merge, maps, {}),
      { method: 'POST', path: maps, body: 'nonsense', compare: 'reason' },
      { method: 'POST', path: maps, body: '[]', compare: 'reason' },
      { method: 'POST', path: maps, type: 'application/yaml', body: 'a: [1', compare: 'reason' },
      { method: 'POST', path: maps, type: 'application/xml', body: '<a/>' },
      {
        method: 'POST',
        path: maps,
        type: 'application/yaml',
        body: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yaml}\ndata: {a: "1"}\n',
      },
    ],
  },
  {
    name: 'deletes, finalizers and preconditions',
    steps: [
      post(maps, map('held', {}, { finalizers: ['x/y'] })),
      remove(`${maps}/held`, { preconditions: { uid: 'x' } }),
      { ...remove(`${maps}/held`, { preconditions: { resourceVersion: '1' } }), compare: 'reason' },
      remove(`${maps}/held?propagationPolicy=Foo`),
      remove(`${maps}/held?gracePeriodSeconds=x`),
      remove(`${maps}/held?dryRun=foo`),
      remove(`${maps}/held?dryRun=All`),
      remove(`${maps}/held`),
      remove(`${maps}/held`),
      put(`${maps}/held`, map('held', {}, { finalizers: ['x/y', 'z/z'] })),
      post(maps, map('held')),
      patch(merge, `${maps}/held`, { metadata: { finalizers: null } }),
      get(`${maps}/held`),
      remove(`${maps}/held`),
      post(maps, map('orphaning')),
      remove(`${maps}/orphaning`, { orphanDependents: true, propagationPolicy: 'Orphan' }),
      post(deployments, deployment('foreground', template([{ name: 'a', image: 'a' }]))),
      remove(`${deployments}/foreground`, { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Foreground' }),
      remove(`${deployments}/foreground`, { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Background' }),
    ],
  },
  {
    name: 'list options and their refusals',
    steps: [
      post(maps, map('l1', {}, { labels: { group: 'list' } })),
      post(maps, map('l2', {}, { labels: { group: 'list' } })),
      post(maps, map('l3', {}, { labels: { group: 'list' } })),
      get(`${maps}?labelSelector=group%3Dlist`),
      { ...get(`${maps}?labelSelector=a%3D%3D%3Db`), compare: 'reason' },
      get(`${maps}?fieldSelector=spec.foo%3Db`),
      { ...get(`${maps}?fieldSelector=spec.foo`), compare: 'reason' },
      get(`${maps}?fieldSelector=metadata.name%3Dl2`),
      get(`/api/v1/namespaces/default/pods?fieldSelector=spec.foo%3Db`),
      get(`${maps}?limit=x`),
      { ...get(`${maps}?limit=1&continue=foo`), compare: 'reason' },
      get(`${maps}?resourceVersion=x`),
      { ...get(`${maps}?resourceVersion=99999999`), compare: 'reason' },
      get(`${maps}?resourceVersionMatch=Exact`),
      get(`${maps}?resourceVersion=0&resourceVersionMatch=Exact`),
      get(`${maps}?resourceVersion=5&resourceVersionMatch=Foo`),
      get(`${maps}?sendInitialEvents=true`),
      get(`${maps}?watch=1&sendInitialEvents=true&timeoutSeconds=1`),
    ],
  },
  {
    name: 'paths and methods that are not served',
    steps: [
      get(`${maps}/..%2f..%2f`),
      get(`${maps}/a%2fb`),
      get('/api/v1/namespaces/default//configmaps/a'),
      get('/api/v2/foo'),
      get(`${maps}/a/foo`),
      { method: 'OPTIONS', path: maps },
      { method: 'POST', path: `${maps}/a`, body: {} },
      { ...get('/apis/foo/v1/bars'), compare: 'status' },
      { ...get('/foo'), compare: 'status' },
    ],
  },
];
