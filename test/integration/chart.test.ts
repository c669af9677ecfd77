/** What the Helm chart renders. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadAll } from 'js-yaml';
import { parseProxyValues, type ProxyValues } from '../../src/control/deployer/index.ts';
import { chart, helm, runHelm, tryHelm } from '../support/helm.ts';

interface Rendered {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: { readonly template?: { readonly spec?: PodSpec } };
  readonly rules?: unknown;
}

interface PodSpec {
  readonly hostPID?: boolean;
  readonly containers: readonly { readonly name: string; readonly securityContext: SecurityContext }[];
}

interface SecurityContext {
  readonly privileged?: boolean;
  readonly allowPrivilegeEscalation?: boolean;
  readonly readOnlyRootFilesystem?: boolean;
  readonly capabilities: { readonly drop: readonly string[]; readonly add?: readonly string[] };
}

const skip = helm === undefined ? 'no helm in PATH or .cache/' : false;
const template = ['template', 'ambit', chart, '--kube-version', '1.35.0'];

async function render(...args: readonly string[]): Promise<Rendered[]> {
  const { stdout } = await runHelm([...template, ...args]);
  return (loadAll(stdout) as (Rendered | null)[]).filter((object) => object !== null);
}

describe('the chart', { skip }, () => {
  it('is well formed', async () => {
    await runHelm(['lint', chart, '--strict', '--kube-version', '1.35.0']);
  });

  it('gives the accounts the roles that the local mesh gives them', async () => {
    const file = loadAll(readFileSync(join(chart, 'files/roles.yaml'), 'utf8')) as Rendered[];
    const rendered = await render('-n', 'istio-system');
    const isRole = ({ kind }: Rendered): boolean => kind.endsWith('Role') || kind.endsWith('RoleBinding');
    const byName = (a: Rendered, b: Rendered): number =>
      `${a.kind}/${a.metadata.name}`.localeCompare(`${b.kind}/${b.metadata.name}`);
    assert.deepEqual(rendered.filter(isRole).toSorted(byName), file.toSorted(byName));
  });

  it('tells the control plane what it may read of the proxies that it deploys', async () => {
    const valuesOf = async (...args: readonly string[]): Promise<ProxyValues> => {
      const istiod = (await render('-n', 'istio-system', ...args)).find(
        ({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'istiod',
      );
      const container = istiod?.spec?.template?.spec?.containers[0] as
        | { readonly env?: readonly { readonly name: string; readonly value?: string }[] }
        | undefined;
      const env = container?.env;
      return parseProxyValues(env?.find(({ name }) => name === 'PROXY_VALUES')?.value ?? '');
    };
    const plain = await valuesOf();
    assert.match(plain.image, /^ambit\/ambit:/);
    assert.deepEqual(Object.keys(plain.waypoint ?? {}).toSorted(), ['resources', 'terminationGracePeriodSeconds']);
    const own = await valuesOf(
      '--set',
      'gateways.waypoint.nodeSelector.pool=mesh,gateways.edge.terminationGracePeriodSeconds=300,image.tag=v9',
      '--set',
      'imagePullSecrets={registry}',
    );
    assert.deepEqual(own.waypoint?.nodeSelector, { pool: 'mesh' });
    assert.equal(own.gateway?.terminationGracePeriodSeconds, 300);
    assert.deepEqual([own.image, own.imagePullSecrets], ['ambit/ambit:v9', ['registry']]);
  });

  it('is at home in any namespace', async () => {
    const { stdout } = await runHelm([...template, '-n', 'mesh']);
    assert.doesNotMatch(stdout, /istio-system/);
    assert.match(stdout, /name: istio-validator-mesh/);
    assert.match(stdout, /https:\/\/istiod\.mesh\.svc:15012/);
  });

  it('gives a revision a control plane of its own, and nothing that a cluster has once', async () => {
    const objects = await render('-n', 'istio-system', '--set', 'revision=canary');
    assert.deepEqual(objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`).toSorted(), [
      'ConfigMap/istio-canary',
      'Deployment/istiod-canary',
      'PodDisruptionBudget/istiod-canary',
      'Service/istiod-canary',
    ]);
  });

  it('needs no privileged container: each has a read-only root and the capabilities it names', async () => {
    const objects = await render('-n', 'istio-system');
    const contexts = objects.flatMap(({ metadata, spec }) =>
      (spec?.template?.spec?.containers ?? []).map(({ name, securityContext }) => ({
        of: `${metadata.name}/${name}`,
        securityContext,
      })),
    );
    const names = [
      'istio-cni-node/install-cni',
      'istio-cni-node/listener-holder',
      'istiod/discovery',
      'ztunnel/istio-proxy',
    ];
    assert.deepEqual(contexts.map(({ of }) => of).toSorted(), names);
    for (const { of, securityContext } of contexts) {
      assert.notEqual(securityContext.privileged, true, of);
      assert.equal(securityContext.readOnlyRootFilesystem, true, of);
      assert.deepEqual(securityContext.capabilities.drop, ['ALL'], of);
      const entersNamespaces = /install-cni|istio-proxy/.test(of);
      // The node agent looks for namespaces by processes.
      const looks = of.endsWith('install-cni') ? ['SYS_PTRACE'] : [];
      const added = !entersNamespaces ? undefined : ['NET_ADMIN', 'NET_RAW', 'SYS_ADMIN', ...looks];
      assert.deepEqual(securityContext.capabilities.add, added, of);
    }
  });

  it('keeps one control plane through disruptions where there are several', async () => {
    const kinds = async (replicas: number): Promise<string[]> =>
      (await render('--set', `control.replicas=${replicas}`)).map(({ kind }) => kind);
    assert.ok((await kinds(2)).includes('PodDisruptionBudget'));
    assert.ok(!(await kinds(1)).includes('PodDisruptionBudget'));
  });

  it('refuses values that mean nothing', async () => {
    for (const [value, message] of [
      ['ztunel.logFormat=json', /ztunel/],
      ['ztunnel.logFormat=xml', /logFormat/],
      ['control.replicas=0', /replicas/],
      ['revision=Canary', /revision/],
      ['revision=default', /revision/],
    ] as const) {
      const { code, stderr } = await tryHelm([...template, '--set', value]);
      assert.notEqual(code, 0, value);
      assert.match(stderr, message, value);
    }
  });
});
