/** Kinds by CustomResourceDefinition, as kubectl sees them. Skipped where kubectl is not installed. */
import { deepEqual, equal, match, ok as isTrue } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createState, removeState, startServerProcess, type ServerProcess } from './apiserver-process.ts';
import { kubectl, kubectlOf, noKubectl, type Kubectl } from '../support/kubectl.ts';

const [kubectlPath = '', ...kubectlWords] = kubectl ?? [];

/** `size` is a default that later versions of the definition change. */
const definition = (size = 1): string => `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ct], categories: [toys]}
  versions:
    - name: v1
      served: true
      storage: true
      additionalPrinterColumns:
        - {name: Spec, type: string, jsonPath: .spec.cronSpec}
        - {name: Size, type: integer, jsonPath: .spec.size}
        - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status', priority: 1}
        - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
      subresources:
        status: {}
        scale: {specReplicasPath: .spec.pods.count, statusReplicasPath: .status.count, labelSelectorPath: .status.selector}
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              description: What to run, and when.
              required: [cronSpec]
              x-kubernetes-validations:
                - {rule: 'self.size <= 10', messageExpression: "'at most 10, not ' + string(self.size)", fieldPath: .size}
              properties:
                cronSpec: {type: string, pattern: '^\\S+( \\S+){4}$', description: Five fields.}
                image:
                  type: string
                  x-kubernetes-validations: [{rule: self == oldSelf, message: image is immutable}]
                size: {type: integer, default: ${size}, minimum: 0}
                added: {type: string, default: later}
                pods: {type: object, properties: {count: {type: integer}}}
                mode: {type: string, enum: [Fast, Slow]}
            status:
              type: object
              properties:
                count: {type: integer}
                selector: {type: string}
                conditions:
                  type: array
                  items: {type: object, properties: {type: {type: string}, status: {type: string}}}
    - name: v1beta1
      served: true
      storage: false
      deprecated: true
      deprecationWarning: stable.example.com/v1beta1 CronTab is old
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`;

const cronTab = (fields: string, name = 'a'): string =>
  `{apiVersion: stable.example.com/v1, kind: CronTab, metadata: {name: ${name}}, spec: {cronSpec: '* * * * */5', ${fields}}}`;

describe('kinds by definition', { skip: noKubectl }, () => {
  let stateDir: string;
  let server: ServerProcess;

  before(async () => {
    stateDir = createState();
    server = await startServerProcess(stateDir);
  });
  after(async () => {
    await server.end('SIGTERM');
    removeState(stateDir);
  });

  const client = (): Kubectl => kubectlOf({ home: stateDir, kubeconfig: server.kubeconfig });
  const run: Kubectl['run'] = (...args) => client().run(...args);
  const ok: Kubectl['ok'] = (...args) => client().ok(...args);
  const refused = (args: string, input?: string): string => {
    const result = run(args, input);
    equal(result.code, 1, result.stdout);
    return result.stderr;
  };
  const json: Kubectl['json'] = (...args) => client().json(...args);

  test('a definition is established and its kind can be found', () => {
    equal(
      ok('apply -f -', definition()),
      'customresourcedefinition.apiextensions.k8s.io/crontabs.stable.example.com created',
    );
    ok('wait --for=condition=Established crd/crontabs.stable.example.com --timeout=60s');
    equal(
      json('get crd crontabs.stable.example.com', '{.status.storedVersions} {.status.acceptedNames.kind}'),
      '["v1"] CronTab',
    );
    match(ok('get crd'), /^NAME +CREATED AT\n/);
    match(ok('api-resources --api-group stable.example.com'), /crontabs +ct +stable\.example\.com\/v1 +true +CronTab/);
    match(
      ok('explain crontab.spec'),
      /What to run, and when\.[^]*cronSpec\t<string> -required-[^]*Five fields\.[^]*enum: Fast, Slow/,
    );
  });

  test('objects get defaults and columns, and are found by all their names', () => {
    equal(ok('apply -f -', cronTab('image: x')), 'crontab.stable.example.com/a created');
    equal(json('get crontab a', '{.spec.size} {.spec.added} {.metadata.generation}'), '1 later 1');
    match(ok('get ct'), /^NAME +SPEC +SIZE +AGE\na +\* \* \* \* \*\/5 +1 +\d+s$/);
    match(ok('get toys -o wide'), /READY/);
    ok([
      'patch',
      'ct',
      'a',
      '--subresource=status',
      '--type=merge',
      '-p',
      '{"status":{"count":2,"conditions":[{"type":"Ready","status":"True"}]},"spec":{"size":9}}',
    ]);
    match(ok('get ct a -o wide'), /\+?1 +True/);
    equal(json('get ct a', '{.metadata.generation} {.spec.size}'), '1 1');
  });

  test('what the schema and its rules refuse is said by field', () => {
    const problems = refused('apply -f -', cronTab('size: -1, mode: Medium', 'b'));
    match(problems, /spec\.size: Invalid value: -1: spec\.size in body should be greater than or equal to 0/);
    match(problems, /spec\.mode: Unsupported value: "Medium": supported values: "Fast", "Slow"/);
    match(problems, /some validation rules were not checked because the object was invalid/);
    match(refused('apply -f -', cronTab('size: 11')), /spec\.size: Invalid value: at most 10, not 11/);
    match(refused('apply -f -', cronTab('image: z')), /spec\.image: Invalid value: "z": image is immutable/);
    match(refused('apply -f -', cronTab('sise: 2')), /strict decoding error: unknown field "spec\.sise"/);
    const warned = run('apply --validate=warn -f -', cronTab('image: x, sise: 2'));
    equal(warned.code, 0, warned.stderr);
    match(warned.stderr, /Warning: unknown field "spec\.sise"/);
    equal(json('get ct a', '{.spec.sise}'), '');
  });

  test('older versions show the same objects, with their warning', () => {
    const old = run('get crontabs.v1beta1.stable.example.com a -o yaml');
    match(old.stdout, /^apiVersion: stable\.example\.com\/v1beta1/);
    match(old.stderr, /Warning: stable\.example\.com\/v1beta1 CronTab is old/);
  });

  test('scale reads and writes where the definition says', () => {
    match(refused('scale ct a --replicas=3'), /the spec replicas field "\.spec\.pods\.count" does not exist/);
    ok(['patch', 'ct', 'a', '--type=merge', '-p', '{"spec":{"pods":{"count":1}}}']);
    equal(ok('scale ct a --replicas=3'), 'crontab.stable.example.com/a scaled');
    equal(json('get ct a', '{.spec.pods.count} {.spec.replicas}'), '3');
    equal(json('get ct a --subresource=scale', '{.spec.replicas} {.status.replicas}'), '3 2');
  });

  test('a changed definition is in force at once, also for what is stored', () => {
    ok('apply -f -', definition(7).replace('default: later', 'default: now, maxLength: 3'));
    equal(ok('apply -f -', cronTab('image: w', 'c')), 'crontab.stable.example.com/c created');
    equal(json('get ct c', '{.spec.size} {.spec.added}'), '7 now');
    // What was there before the schema became stricter may stay, until it is changed.
    ok('label ct a team=x');
    equal(json('get ct a', '{.spec.added}'), 'later');
    match(
      refused('patch ct a --type=merge -p {"spec":{"added":"never"}}'),
      /spec\.added: Too long: may not be more than 3 bytes/,
    );
  });

  test('a definition that is none is refused with its causes', () => {
    const bad = definition()
      .replaceAll('crontabs', 'tabs')
      .replace('default: 1, minimum', 'default: x, minimum')
      .replace('self.size <= 10', 'self.sizee <= 10');
    match(refused('create -f -', bad), /x-kubernetes-validations\[0\]\.rule: [^]*undefined field 'sizee'/);
    match(refused('create -f -', bad.replace('sizee', 'size')), /properties\[size\]\.default: Invalid value: "string"/);
    match(
      refused('create -f -', definition().replace('name: crontabs', 'name: other')),
      /must be spec\.names\.plural\+"\."\+spec\.group/,
    );
    match(
      refused('patch crd crontabs.stable.example.com --type=merge -p {"spec":{"scope":"Cluster"}}'),
      /field is immutable/,
    );
  });

  test('two kinds of one group do not share a name', () => {
    ok(
      'create -f -',
      definition()
        .replaceAll('crontabs', 'others')
        .replace('kind: CronTab', 'kind: Other')
        .replace('crontab,', 'other,'),
    );
    const of = (type: string): string =>
      json('get crd others.stable.example.com', `{.status.conditions[?(@.type=="${type}")].status}`);
    deepEqual([of('NamesAccepted'), of('Established')], ['False', 'False']);
    isTrue(!ok('api-resources --api-group stable.example.com').includes('Other'));
    ok('delete crd others.stable.example.com --timeout=60s');
  });

  test('a namespace takes its custom objects with it', () => {
    ok('create namespace toys');
    ok('apply -n toys -f -', cronTab('image: x'));
    ok('delete namespace toys --timeout=60s');
    equal(ok('get ct -A -o name').includes('toys'), false);
  });

  test('deleting a definition deletes its objects, waits for finalizers, and ends watches', async () => {
    ok(['patch', 'ct', 'a', '--type=merge', '-p', '{"metadata":{"finalizers":["example.com/hold"]}}']);
    const watch = spawn(kubectlPath, [...kubectlWords, 'get', 'ct', '--watch-only', '--output-watch-events'], {
      env: client().env,
    });
    const ended = once(watch, 'exit');
    let seen = '';
    watch.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()));
    const until = async (text: string, meanwhile: () => void): Promise<void> => {
      for (const endMs = Date.now() + 60_000; !seen.includes(text); await delay(100)) {
        isTrue(Date.now() < endMs, `no ${text} in: ${seen}`);
        meanwhile();
      }
    };
    // The watch is there when it reports a change.
    let changes = 0;
    await until('MODIFIED', () => ok(['annotate', 'ct', 'c', '--overwrite', `n=${(changes += 1)}`]));
    ok('delete crd crontabs.stable.example.com --wait=false');
    await until('DELETED', () => undefined);
    equal(
      json('get crd crontabs.stable.example.com', '{.status.conditions[?(@.type=="Terminating")].reason}'),
      'InstanceDeletionInProgress',
    );
    match(
      refused('create -f -', cronTab('image: x', 'd')),
      /create not allowed while custom resource definition is terminating/,
    );
    ok(['patch', 'ct', 'a', '--type=merge', '-p', '{"metadata":{"finalizers":null}}']);
    ok('wait --for=delete crd/crontabs.stable.example.com --timeout=60s');
    await ended;
    match(refused('get ct'), /doesn't have a resource type|could not find the requested resource/);
  });

  test('definitions and objects are there after a restart, and ours are whole again', async () => {
    ok('apply -f -', definition());
    ok('apply -f -', cronTab('image: x'));
    ok([
      'patch',
      'crd',
      'sidecars.networking.istio.io',
      '--type=json',
      '-p',
      '[{"op":"remove","path":"/spec/names/categories"}]',
    ]);
    await server.end('SIGKILL');
    server = await startServerProcess(stateDir);
    equal(json('get ct a', '{.spec.image}'), 'x');
    equal(json('get crd sidecars.networking.istio.io', '{.spec.names.categories[0]}'), 'istio-io');
    equal(ok('get crd -o name').split('\n').length, 31);
  });
});
