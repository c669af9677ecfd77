/** kubectl itself against the API server: the verbs that the README promises. Skipped where kubectl is not installed. */
import { deepEqual, equal, match } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { createState, removeState, startServerProcess, type ServerProcess } from './apiserver-process.ts';
import { kubectl, kubectlOf, noKubectl, type Kubectl } from '../support/kubectl.ts';

const [kubectlPath = '', ...kubectlWords] = kubectl ?? [];

const web = (replicas: number, image: string, extra = ''): string => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: web, image: ${image}, ports: [{containerPort: 80}]}
        ${extra}
`;

describe('kubectl', { skip: noKubectl }, () => {
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
  const apply = (manifest: string): string => ok('apply -f -', manifest);
  const json: Kubectl['json'] = (...args) => client().json(...args);

  test('version and discovery', () => {
    match(ok('version'), /Server Version: v1\.33\./);
    const resources = ok('api-resources');
    for (const kind of ['Pod', 'Deployment', 'EndpointSlice', 'AuthorizationPolicy', 'HTTPRoute']) {
      match(resources, new RegExp(`${kind}$`, 'm'));
    }
    match(ok('explain deployment.spec.replicas'), /FIELD: replicas/);
  });

  test('apply creates, changes and removes what the manifest no longer has', () => {
    equal(apply(web(2, 'a', '- {name: side, image: s}')), 'deployment.apps/web created');
    equal(apply(web(2, 'a', '- {name: side, image: s}')), 'deployment.apps/web unchanged');
    ok('label deployment web team=x');
    equal(apply(web(3, 'b')), 'deployment.apps/web configured');
    equal(
      json('get deployment web', '{.spec.replicas} {.spec.template.spec.containers[*].image} {.metadata.labels.team}'),
      '3 b x',
    );
    equal(json('get deployment web', '{.metadata.generation}'), '2');
  });

  test('get as a table, wide, yaml, by name and by selector', () => {
    match(ok('get deployments'), /^NAME\s+READY\s+UP-TO-DATE\s+AVAILABLE\s+AGE\nweb\s+0\/3/);
    match(ok('get deploy -o wide'), /CONTAINERS\s+IMAGES\s+SELECTOR/);
    match(ok('get deploy web -o yaml'), /\n {2}replicas: 3\n/);
    equal(ok('get deploy -l app=web -o name'), 'deployment.apps/web');
    equal(ok('get deploy -l app!=web -o name'), '');
    equal(ok('get ns --field-selector metadata.name=default -o name'), 'namespace/default');
    match(run('get pod nothing').stderr, /pods "nothing" not found/);
    match(run('get nothing').stderr, /doesn't have a resource type "nothing"/);
  });

  test('describe', () => {
    match(ok('describe deployment web'), /Replicas:\s+3 desired/);
    match(ok('describe service kubernetes'), /IP:\s+10\.96\.0\.1/);
    match(ok('describe namespace default'), /Status:\s+Active/);
  });

  test('server-side apply: conflicts, force, diff, dry run, and taking over from client-side apply', () => {
    const map = (value: string): string =>
      `{apiVersion: v1, kind: ConfigMap, metadata: {name: ssa}, data: {a: "${value}"}}`;
    equal(ok('apply --server-side -f -', map('1')), 'configmap/ssa serverside-applied');
    const conflict = run('apply --server-side --field-manager=other -f -', map('2'));
    match(conflict.stderr, /Apply failed with 1 conflict: conflict with "kubectl": \.data\.a/);
    match(run('diff --server-side --force-conflicts --field-manager=other -f -', map('2')).stdout, /\+ {2}a: "2"/);
    ok('apply --server-side --force-conflicts --field-manager=other --dry-run=server -f -', map('2'));
    equal(json('get configmap ssa', '{.data.a}'), '1');
    ok('apply --server-side --force-conflicts --field-manager=other -f -', map('2'));
    equal(json('get configmap ssa', '{.metadata.managedFields[*].manager}'), 'other');
    ok('delete configmap ssa');
    apply(map('1'));
    ok('apply --server-side -f -', map('2'));
    equal(json('get configmap ssa', '{.data.a}'), '2');
    ok('delete configmap ssa');
  });

  test('pages and sorted output', () => {
    for (const name of ['c', 'a', 'b']) ok(`create configmap page-${name} --from-literal=x=${name}`);
    equal(
      ok('get configmap --chunk-size=1 -o name --sort-by=.metadata.name'),
      'configmap/kube-root-ca.crt\nconfigmap/page-a\nconfigmap/page-b\nconfigmap/page-c',
    );
    ok('delete configmap page-a page-b page-c --cascade=foreground');
  });

  test('label, annotate', () => {
    ok('annotate deployment web note=one');
    ok('annotate deployment web note=two --overwrite');
    ok('label deployment web team-');
    equal(json('get deployment web', '{.metadata.annotations.note}{.metadata.labels.team}'), 'two');
  });

  test('patch: strategic by default, merge when asked', () => {
    ok([
      'patch',
      'deployment',
      'web',
      '-p',
      '{"spec":{"template":{"spec":{"containers":[{"name":"more","image":"m"}]}}}}',
    ]);
    equal(
      json('get deployment web', '{.spec.template.spec.containers[*].name}').split(' ').toSorted().join(),
      'more,web',
    );
    ok([
      'patch',
      'deployment',
      'web',
      '--type=merge',
      '-p',
      '{"spec":{"template":{"spec":{"containers":[{"name":"only","image":"o"}]}}}}',
    ]);
    equal(json('get deployment web', '{.spec.template.spec.containers[*].name}'), 'only');
    const operation = '[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"patched"}]';
    ok(['patch', 'deployment', 'web', '--type=json', '-p', operation]);
    equal(json('get deployment web', '{.spec.template.spec.containers[0].image}'), 'patched');
    const wrong = '[{"op":"test","path":"/spec/replicas","value":99}]';
    match(run(['patch', 'deployment', 'web', '--type=json', '-p', wrong]).stderr, /the server rejected our request/);
  });

  test('scale and set image', () => {
    ok('scale deployment web --replicas=7');
    ok('set image deployment/web only=changed');
    equal(json('get deployment web', '{.spec.replicas} {.spec.template.spec.containers[0].image}'), '7 changed');
  });

  test('edit', () => {
    ok('edit deployment web', '', { EDITOR: 'sed -i s/changed/edited/' });
    equal(json('get deployment web', '{.spec.template.spec.containers[0].image}'), 'edited');
    const policy =
      'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\nspec: {action: ALLOW, rules: [{}]}';
    equal(apply(policy), 'authorizationpolicy.security.istio.io/p created');
    ok('edit authorizationpolicy p', '', { EDITOR: 'sed -i s/ALLOW/DENY/' });
    equal(json('get authorizationpolicy p', '{.spec.action}'), 'DENY');
  });

  test('wait for a condition and for deletion', async () => {
    ok('wait --for=jsonpath={.spec.replicas}=7 deployment/web --timeout=60s');
    ok('create -f -', '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"short-lived"}}');
    const waiting = spawn(
      kubectlPath,
      [...kubectlWords, 'wait', '--for=delete', 'configmap/short-lived', '--timeout=60s'],
      {
        env: { PATH: process.env['PATH'], HOME: stateDir, KUBECONFIG: server.kubeconfig },
        stdio: 'ignore',
      },
    );
    const ended = new Promise<number | null>((resolve) => waiting.on('exit', resolve));
    ok('delete configmap short-lived');
    equal(await ended, 0);
  });

  test('delete by name, selector and file', () => {
    match(
      ok('delete authorizationpolicy p'),
      /^authorizationpolicy\.security\.istio\.io "p" deleted( from default namespace)?$/,
    );
    match(ok('delete deployment -l app=web'), /^deployment\.apps "web" deleted( from default namespace)?$/);
    apply(web(1, 'a'));
    match(ok('delete -f -', web(1, 'a')), /^deployment\.apps "web" deleted( from default namespace)?$/);
    equal(ok('get deployments -o name'), '');
  });

  test('invalid objects are refused with every problem', () => {
    const unknown = run('apply -f -', web(1, 'a').replace('replicas', 'replcas'));
    equal(unknown.code, 1);
    match(unknown.stderr, /strict decoding error: unknown field "spec\.replcas"/);
    const invalid = run('apply -f -', web(1, 'a').replaceAll('{app: web}', '{app: "not valid"}'));
    match(invalid.stderr, /The Deployment "web" is invalid/);
    match(invalid.stderr, /metadata\.labels: Invalid value/);
    const policy =
      'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\nspec: {action: SOMETIMES}';
    match(run('apply -f -', policy).stderr, /spec\.action: Unsupported value: "SOMETIMES"/);
    equal(ok('get authorizationpolicies,deployments -o name'), '');
  });

  test('create, tokens and access questions, which kubectl sends as protobuf', () => {
    equal(ok('create namespace made'), 'namespace/made created');
    ok('create configmap settings -n made --from-literal=a=1 --from-literal=b=2');
    deepEqual(JSON.parse(json('get configmap settings -n made', '{.data}')), { a: '1', b: '2' });
    ok('create secret generic hidden -n made --from-literal=password=open');
    equal(json('get secret hidden -n made', '{.data.password}'), Buffer.from('open').toString('base64'));
    ok('create serviceaccount app -n made');
    match(ok('create token app -n made --audience=istio-ca --duration=15m'), /^eyJ/);
    equal(ok('create deployment quick -n made --image=nginx --replicas=0 --port=80'), 'deployment.apps/quick created');
    equal(
      json(
        'get deployment quick -n made',
        '{.spec.replicas}{.spec.template.spec.containers[0].ports[0].containerPort}',
      ),
      '080',
    );
    ok('create service clusterip quick -n made --tcp=80:8080');
    equal(json('get service quick -n made', '{.spec.ports[0].port} {.spec.ports[0].targetPort}'), '80 8080');
    ok('run one -n made --image=busybox --restart=Never');
    ok('expose pod one -n made --port=80 --name=exposed --selector=run=one');
    match(ok('auth whoami'), /ambit:admin/);
    equal(ok('auth can-i delete pods'), 'yes');
    equal(run('auth can-i delete pods --as=nobody').stdout, 'no');
    match(run('get pods --as=system:serviceaccount:made:app').stderr, /cannot list resource "pods"/);
  });
});
