import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { it } from 'node:test';
import { kinds } from '../kinds.ts';
import type { KindRef } from '../meta.ts';
import { kindInfo } from '../registry.ts';
import type { JsonSchema } from './schema.ts';

const models = dirname(createRequire(import.meta.url).resolve('kubernetes-models/package.json'));

/** The fields of the interface in a declaration file, each with the file of its own type, if it has one. */
function fieldsOf(file: string): [name: string, typeFile: string | undefined][] {
  const text = readFileSync(file, 'utf8').replaceAll(/\/\*[\s\S]*?\*\//g, '');
  const body = /export interface \w+[^{]* \{([\s\S]*?)\n\}/.exec(text)?.[1] ?? '';
  const imports = [...text.matchAll(/import \{ (\w+) \} from "(\..+?)\.js"/g)];
  return [...body.matchAll(/^ {4}"(\w+)"\??: (.*)/gm)].map(([, name = '', type = '']) => {
    const found = imports.find(([, imported = '']) => new RegExp(String.raw`\b${imported}\b`).test(type));
    return [name, found && join(dirname(file), `${found[2]}.d.ts`)];
  });
}

/** Paths that the models have and the schema has not. */
function missing(file: string, schema: JsonSchema | undefined, path: string): string[] {
  const object = schema?.type === 'array' ? schema.items : schema;
  const { properties } = object ?? {};
  if (!properties || object?.['x-kubernetes-preserve-unknown-fields']) return [];
  return fieldsOf(file).flatMap(([name, typeFile]) => {
    const known = properties[name];
    if (!known) return [`${path}.${name}`];
    return typeFile !== undefined && existsSync(typeFile) ? missing(typeFile, known, `${path}.${name}`) : [];
  });
}

it('the schemas of Kubernetes kinds know every field there is', () => {
  const core = ['Namespace', 'Pod', 'Service', 'ServiceAccount', 'ConfigMap', 'Secret', 'Node', 'Event'] as const;
  const files: [KindRef, string][] = [
    ...core.map((kind): [KindRef, string] => [kinds[kind], `v1/${kind}`]),
    [kinds.Deployment, 'apps/v1/Deployment'],
    [kinds.ReplicaSet, 'apps/v1/ReplicaSet'],
    ...(['StatefulSet', 'DaemonSet', 'ControllerRevision'] as const).map((kind): [KindRef, string] => [
      kinds[kind],
      `apps/v1/${kind}`,
    ]),
    [kinds.Job, 'batch/v1/Job'],
    [kinds.CronJob, 'batch/v1/CronJob'],
    [kinds.HorizontalPodAutoscaler, 'autoscaling/v2/HorizontalPodAutoscaler'],
    [kinds.PodDisruptionBudget, 'policy/v1/PodDisruptionBudget'],
    [kinds.Endpoints, 'v1/Endpoints'],
    [kinds.PersistentVolumeClaim, 'v1/PersistentVolumeClaim'],
    [kinds.EventsEvent, 'events.k8s.io/v1/Event'],
    ...(['NetworkPolicy', 'Ingress', 'IngressClass'] as const).map((kind): [KindRef, string] => [
      kinds[kind],
      `networking.k8s.io/v1/${kind}`,
    ]),
    [kinds.PriorityClass, 'scheduling.k8s.io/v1/PriorityClass'],
    [kinds.EndpointSlice, 'discovery.k8s.io/v1/EndpointSlice'],
    [kinds.Lease, 'coordination.k8s.io/v1/Lease'],
    ...(['Role', 'ClusterRole', 'RoleBinding', 'ClusterRoleBinding'] as const).map((kind): [KindRef, string] => [
      kinds[kind],
      `rbac.authorization.k8s.io/v1/${kind}`,
    ]),
  ];
  for (const [kind, file] of files) {
    assert.ok(fieldsOf(join(models, `${file}.d.ts`)).length > 0, file);
    assert.deepEqual(missing(join(models, `${file}.d.ts`), kindInfo(kind)?.schema, kind.kind), []);
  }
});
