/** `/scale` of a custom kind: where its definition says that replicas are. */
import type { ScalePaths } from '../../../api/index.ts';
import { isJsonObject, type Json, type JsonObject } from '../merge-patch.ts';
import type { ApiObject } from '../object-fields.ts';
import { StatusError } from '../status-error.ts';

/** `spec` and `status` of the Scale of an object. Throws 500 when the object has no replicas, as Kubernetes does. */
export function customScale(
  object: ApiObject,
  paths: ScalePaths,
): { readonly spec: JsonObject; readonly status: JsonObject } {
  const replicas = valueAt(object, paths.specReplicasPath);
  if (typeof replicas !== 'number') {
    const why = `the spec replicas field ${JSON.stringify(paths.specReplicasPath)} does not exist`;
    throw new StatusError({ code: 500, reason: 'InternalError', message: `Internal error occurred: ${why}` });
  }
  const actual = valueAt(object, paths.statusReplicasPath);
  const selector = paths.labelSelectorPath === undefined ? undefined : valueAt(object, paths.labelSelectorPath);
  return {
    spec: { replicas },
    status: {
      replicas: typeof actual === 'number' ? actual : 0,
      ...(typeof selector === 'string' && selector !== '' && { selector }),
    },
  };
}

/** A copy with other replicas; what it does not touch is shared. */
export function withReplicas(object: ApiObject, paths: ScalePaths, replicas: number): ApiObject {
  return changed(object as unknown as JsonObject, namesIn(paths.specReplicasPath), replicas) as unknown as ApiObject;
}

function changed(value: Json | undefined, [name, ...rest]: readonly string[], replicas: number): Json {
  if (name === undefined) return replicas;
  const object = isJsonObject(value) ? value : {};
  return { ...object, [name]: changed(object[name], rest, replicas) };
}

function valueAt(object: ApiObject, path: string): unknown {
  return namesIn(path).reduce<unknown>(
    (value, name) => (isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined),
    object,
  );
}

/** `.spec.replicas`: names alone, as the definition was checked to say. */
function namesIn(path: string): string[] {
  return path.replace(/^\./, '').split('.');
}
