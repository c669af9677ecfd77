import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { policyKey, serviceKey, type ServiceKey, type WorkloadUid } from '../api/names.ts';
import type { MeshAddress, MeshService, MeshWorkload } from '../api/workload.ts';
import type { Authorization } from '../policy/index.ts';
import { defaultNetwork, meshService, meshWorkload } from './fixtures.ts';
import { MeshState, type MeshChange } from './mesh-state.ts';

const workloadOf = (workload: MeshWorkload): MeshAddress => ({ kind: 'workload', workload });
const serviceOf = (service: MeshService): MeshAddress => ({ kind: 'service', service });
const vip = (ip: string, prefixLength?: number): MeshService['addresses'][number] =>
  prefixLength === undefined ? { network: defaultNetwork, ip } : { network: defaultNetwork, ip, prefixLength };

function stateOf(...updated: MeshAddress[]): MeshState {
  const state = new MeshState();
  state.applyAddresses({ updated, removed: [] });
  return state;
}

const authorization = (more: Partial<Authorization> = {}): Authorization => ({
  name: 'p',
  namespace: 'shop',
  scope: 'namespace',
  action: 'allow',
  rules: [],
  dryRun: false,
  ...more,
});

test('a workload is found by uid, address and pod, and by nothing once it is removed', () => {
  const web = meshWorkload({ addresses: ['10.0.0.1'] });
  const state = stateOf(workloadOf(web));
  assert.equal(state.workload(web.uid), web);
  assert.equal(state.workloadByIp(defaultNetwork, '10.0.0.1'), web);
  assert.equal(state.workloadOfPod({ namespace: 'shop', name: 'web', serviceAccount: 'default' }), web);
  assert.equal(state.workloadOfPod({ namespace: 'shop', name: 'web', serviceAccount: 'other' }), undefined);
  state.applyAddresses({ updated: [], removed: [web.uid] });
  assert.equal(state.workload(web.uid), undefined);
  assert.equal(state.workloadByIp(defaultNetwork, '10.0.0.1'), undefined);
});

test('an update of a workload moves all its indices', () => {
  const state = stateOf(workloadOf(meshWorkload({ addresses: ['10.0.0.1'] })));
  state.applyAddresses({ updated: [workloadOf(meshWorkload({ addresses: ['10.0.0.2'] }))], removed: [] });
  assert.equal(state.workloadByIp(defaultNetwork, '10.0.0.1'), undefined);
  assert.equal(state.workloadByIp(defaultNetwork, '10.0.0.2')?.name, 'web');
});

test('a pod wins an address over an entry, and HBONE over none; host-network workloads have none', () => {
  const addresses = ['10.0.0.1'];
  const entry = meshWorkload({ uid: 'c/networking.istio.io/WorkloadEntry/a/b' as WorkloadUid, addresses });
  const plain = meshWorkload({ name: 'plain', addresses, tunnelProtocol: 'none' });
  const meshed = meshWorkload({ name: 'meshed', addresses });
  const host = meshWorkload({ name: 'host', addresses: ['10.0.0.9'], networkMode: 'host-network' });
  const state = stateOf(...[entry, plain, meshed, host].map(workloadOf));
  assert.equal(state.workloadByIp(defaultNetwork, '10.0.0.1'), meshed);
  assert.equal(state.workloadByIp(defaultNetwork, '10.0.0.9'), undefined);
});

test('an address that was given to another pod is that of the one that is ready', () => {
  const state = new MeshState();
  const before = meshWorkload({ name: 'before', addresses: ['10.0.0.1'], status: 'unhealthy' });
  const now = meshWorkload({ name: 'now', addresses: ['10.0.0.1'], tunnelProtocol: 'none' });
  state.applyAddresses({ updated: [before, now].map((workload) => ({ kind: 'workload', workload })), removed: [] });
  assert.equal(state.workloadByIp(defaultNetwork, '10.0.0.1'), now);
  state.applyAddresses({ updated: [], removed: [now.uid] });
  assert.equal(state.workloadByIp(defaultNetwork, '10.0.0.1'), before);
});

test('a virtual address goes to the client namespace, then to the canonical service, and never to an invisible one', () => {
  const own = meshService({ namespace: 'a', addresses: [vip('10.96.0.1')], canonical: false });
  const canonical = meshService({ namespace: 'b', addresses: [vip('10.96.0.1')] });
  const hidden = meshService({ namespace: 'c', addresses: [vip('10.96.0.1')], visibility: 'namespace' });
  const state = stateOf(...[hidden, own, canonical].map(serviceOf));
  assert.equal(state.serviceByVip(defaultNetwork, '10.96.0.1', 'a'), own);
  assert.equal(state.serviceByVip(defaultNetwork, '10.96.0.1', 'z'), canonical);
  assert.equal(state.serviceByVip(defaultNetwork, '10.96.0.1', 'c'), hidden);
});

test('blocks serve only where no exact address does, longest prefix first', () => {
  const wide = meshService({ name: 'wide', addresses: [vip('240.0.0.0', 8)] });
  const narrow = meshService({ name: 'narrow', addresses: [vip('240.1.0.0', 16)], canonical: false });
  const exact = meshService({ name: 'exact', addresses: [vip('240.1.0.1')] });
  const state = stateOf(...[wide, narrow, exact].map(serviceOf));
  assert.equal(state.serviceByVip(defaultNetwork, '240.1.0.1', 'x'), exact);
  assert.equal(state.serviceByVip(defaultNetwork, '240.1.0.2', 'x'), narrow);
  assert.equal(state.serviceByVip(defaultNetwork, '240.2.0.2', 'x'), wide);
  assert.equal(state.serviceByVip(defaultNetwork, '241.0.0.1', 'x'), undefined);
});

test('of services that share an address, and are alike, the one that has the port is meant', () => {
  const at = (port: number, more: Partial<MeshService>): MeshService =>
    meshService({ ports: [{ servicePort: port, targetPort: port, appProtocol: 'unknown' }], ...more });
  const addresses = [vip('10.50.0.1'), vip('10.51.0.0', 24)];
  const web = at(80, { name: 'web', addresses });
  const database = at(5432, { name: 'database', addresses });
  const foreign = at(5432, { name: 'foreign', namespace: 'other', addresses, canonical: false });
  const state = stateOf(...[web, foreign, database].map(serviceOf));
  for (const ip of ['10.50.0.1', '10.51.0.7']) {
    assert.equal(state.serviceByVip(defaultNetwork, ip, 'x', 5432), database);
    assert.equal(state.serviceByVip(defaultNetwork, ip, 'x', 80), web);
    assert.equal(state.serviceByVip(defaultNetwork, ip, 'x', 1), web);
    assert.equal(state.serviceByVip(defaultNetwork, ip, 'x'), web);
  }
  assert.equal(stateOf(serviceOf(web), serviceOf(foreign)).serviceByVip(defaultNetwork, '10.50.0.1', 'x', 5432), web);
});

test('an endpoint waits for its service, and survives the service being replaced', () => {
  const key = serviceKey('shop', 'web.shop.svc.cluster.local');
  const web = meshWorkload({ services: new Map([[key, []]]) });
  const state = stateOf(workloadOf(web));
  assert.deepEqual(state.stagedServices(), [key]);
  state.applyAddresses({ updated: [serviceOf(meshService())], removed: [] });
  assert.deepEqual(state.stagedServices(), []);
  state.applyAddresses({ updated: [serviceOf(meshService({ canonical: false }))], removed: [] });
  assert.equal(state.endpoints(key).get(web.uid)?.workload, web);
});

test('removals come after updates, and names that are nothing are ignored', () => {
  const state = stateOf(serviceOf(meshService()));
  state.applyAddresses({
    updated: [serviceOf(meshService({ name: 'new' }))],
    removed: ['shop/web.shop.svc.cluster.local', 'no/such', 'a/b/c/d'],
  });
  assert.deepEqual(
    [...state.services()].map((s) => s.name),
    ['new'],
  );
});

test('policies bind by namespace, globally and by name; unknown names are told apart', () => {
  const state = new MeshState();
  const updated = [
    authorization({ name: 'ns' }),
    authorization({ name: 'other', namespace: 'x' }),
    authorization({ name: 'root', namespace: 'istio-system', scope: 'global' }),
    authorization({ name: 'mine', scope: 'workload-selector' }),
    authorization({ name: 'theirs', scope: 'workload-selector' }),
  ];
  state.applyAuthorizations({ updated, removed: [] });
  const workload = meshWorkload({ authorizationPolicies: [policyKey('shop', 'mine'), policyKey('shop', 'late')] });
  const before = state.policiesFor(workload);
  assert.deepEqual(
    before.policies.map((p) => p.name),
    ['ns', 'root', 'mine'],
  );
  assert.deepEqual(before.missing, ['shop/late']);
  state.applyAuthorizations({
    updated: [authorization({ name: 'late', scope: 'workload-selector' })],
    removed: ['shop/ns'],
  });
  const after = state.policiesFor(workload);
  assert.deepEqual(
    after.policies.map((p) => p.name),
    ['root', 'mine', 'late'],
  );
  assert.deepEqual(after.missing, []);
});

test('a policy that changes its scope leaves the old one', () => {
  const state = new MeshState();
  state.applyAuthorizations({ updated: [authorization({ scope: 'global' })], removed: [] });
  state.applyAuthorizations({ updated: [authorization({ scope: 'workload-selector' })], removed: [] });
  assert.deepEqual(state.policiesFor(meshWorkload()).policies, []);
});

test('listeners hear what changed, and nothing when nothing did', () => {
  const state = new MeshState();
  const changes: MeshChange[] = [];
  const stop = state.subscribe((change) => changes.push(change));
  state.applyAddresses({ updated: [workloadOf(meshWorkload())], removed: [] });
  state.applyAuthorizations({ updated: [authorization()], removed: [] });
  state.applyAddresses({ updated: [], removed: ['nobody'] });
  stop();
  state.applyAuthorizations({ updated: [], removed: ['shop/p'] });
  assert.deepEqual(
    changes.map((c) => c.kind),
    ['addresses', 'policies'],
  );
});

type Step =
  | {
      readonly put: 'workload';
      readonly id: number;
      readonly ips: number[];
      readonly service: number;
      readonly hbone: boolean;
    }
  | { readonly put: 'service'; readonly id: number; readonly vips: number[]; readonly canonical: boolean }
  | { readonly drop: 'workload' | 'service'; readonly id: number };

const small = fc.integer({ min: 0, max: 3 });
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    put: fc.constant('workload' as const),
    id: small,
    ips: fc.uniqueArray(small),
    service: small,
    hbone: fc.boolean(),
  }),
  fc.record({ put: fc.constant('service' as const), id: small, vips: fc.uniqueArray(small), canonical: fc.boolean() }),
  fc.record({ drop: fc.constantFrom('workload' as const, 'service' as const), id: small }),
);
const hostKey = (id: number): ServiceKey => serviceKey('shop', `s${id}.shop.svc.cluster.local`);

test('after any sequence of updates the indices say what a plain list of the latest values says', () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 40 }), (steps) => {
      const state = new MeshState();
      const workloads = new Map<WorkloadUid, MeshWorkload>();
      const services = new Map<ServiceKey, MeshService>();
      for (const step of steps) {
        if ('drop' in step) {
          const name = step.drop === 'workload' ? meshWorkload({ name: `w${step.id}` }).uid : hostKey(step.id);
          state.applyAddresses({ updated: [], removed: [name] });
          workloads.delete(name as WorkloadUid);
          services.delete(name as ServiceKey);
        } else if (step.put === 'workload') {
          const workload = meshWorkload({
            name: `w${step.id}`,
            addresses: step.ips.map((ip) => `10.0.0.${ip}`),
            services: new Map([[hostKey(step.service), []]]),
            tunnelProtocol: step.hbone ? 'hbone' : 'none',
          });
          state.applyAddresses({ updated: [workloadOf(workload)], removed: [] });
          workloads.delete(workload.uid);
          workloads.set(workload.uid, workload);
        } else {
          const service = meshService({
            name: `s${step.id}`,
            canonical: step.canonical,
            addresses: step.vips.map((ip) => vip(`10.96.0.${ip}`)),
          });
          state.applyAddresses({ updated: [serviceOf(service)], removed: [] });
          services.delete(hostKey(step.id));
          services.set(hostKey(step.id), service);
        }
      }
      for (let n = 0; n < 4; n++) {
        const claimants = [...workloads.values()].filter((w) => w.addresses.includes(`10.0.0.${n}`));
        const owner = claimants.find((w) => w.tunnelProtocol === 'hbone') ?? claimants[0];
        assert.equal(state.workloadByIp(defaultNetwork, `10.0.0.${n}`), owner);
        const vips = [...services.values()].filter((s) => s.addresses.some((a) => a.ip === `10.96.0.${n}`));
        assert.equal(state.serviceByVip(defaultNetwork, `10.96.0.${n}`, 'z'), vips.find((s) => s.canonical) ?? vips[0]);
        const members = [...workloads.values()].filter((w) => w.services.has(hostKey(n))).map((w) => w.uid);
        assert.deepEqual(new Set(state.endpoints(hostKey(n)).keys()), new Set(members));
        assert.equal(state.stagedServices().includes(hostKey(n)), members.length > 0 && !services.has(hostKey(n)));
      }
    }),
    { seed: 11 },
  );
});
