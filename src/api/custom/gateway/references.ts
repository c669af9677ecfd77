/** How an object names another: secrets, certificates, parameters, backends, targets of policies. */
import type { JsonSchema, ValidationRule } from '../../schema/schema.ts';
import { group, kind, namespace, objectName, port, sectionName } from './names.ts';
import { count, object, rule, withDefault, withRules } from './shape.ts';

type Fields = Readonly<Record<string, JsonSchema>>;

const otherNamespace = 'Namespace of the object, if another than here; it must be granted there by a ReferenceGrant.';

/** An object of any kind in the same namespace. */
export function localReference(description: string): JsonSchema {
  return object(description, localFields, 'group', 'kind', 'name');
}

/** An object of any kind, here or in another namespace. */
export function objectReference(description: string): JsonSchema {
  return object(description, { ...localFields, namespace: namespace(otherNamespace) }, 'group', 'kind', 'name');
}

/** A further object that configures this one; one of a namespace names it. */
export function parametersReference(description: string): JsonSchema {
  return object(
    description,
    { ...localFields, namespace: namespace('Namespace of the object; absent for a kind without namespaces.') },
    'group',
    'kind',
    'name',
  );
}

/** A Secret, unless it says otherwise. */
export function secretReference(description: string): JsonSchema {
  return object(
    description,
    {
      group: withDefault(group('API group of the object; empty for the core group.'), ''),
      kind: withDefault(kind('Kind of the object.'), 'Secret'),
      name: objectName('Name of the object.'),
      namespace: namespace(otherNamespace),
    },
    'name',
  );
}

/** What traffic is sent to, a Service unless it says otherwise, with the rule that a Service needs a port. */
export function backendReference(description: string, further: Fields = {}): JsonSchema {
  return withRules(
    object(
      description,
      {
        group: withDefault(group('API group of the backend; empty for the core group.'), ''),
        kind: withDefault(kind('Kind of the backend.'), 'Service'),
        name: objectName('Name of the backend.'),
        namespace: namespace(otherNamespace),
        port: port('Port of the backend: for a Service, its own port, not that of its pods.'),
        ...further,
      },
      'name',
    ),
    serviceNeedsPort,
  );
}

/** A backend with its share of the traffic. */
export function weightedBackend(description: string, further: Fields = {}): JsonSchema {
  const weight = count('Share of the traffic, of the sum of all weights; 0 for none.', { min: 0, max: 1_000_000 });
  return backendReference(description, { weight: withDefault(weight, 1), ...further });
}

/** What a policy is attached to; with `sectionName`, to a part of it. */
export function policyTarget(description: string, further: Fields = {}): JsonSchema {
  return object(
    description,
    {
      group: group('API group of the target.'),
      kind: kind('Kind of the target.'),
      name: objectName('Name of the target.'),
      ...further,
    },
    'group',
    'kind',
    'name',
  );
}

/** The part of the target that a policy is for. */
export const targetSection: JsonSchema = sectionName(
  'Part of the target: a listener of a Gateway, a port of a Service, a rule of a route; all of it if absent.',
);

const localFields: Fields = {
  group: group('API group of the object; empty for the core group.'),
  kind: kind('Kind of the object.'),
  name: objectName('Name of the object.'),
};

const serviceNeedsPort: ValidationRule = rule(
  'Must have port for Service reference',
  "(size(self.group) == 0 && self.kind == 'Service') ? has(self.port) : true",
);
