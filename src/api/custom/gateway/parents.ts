/** What a route is attached to, and what is said of each in its status. */
import type { JsonSchema, ValidationRule } from '../../schema/schema.ts';
import { conditions } from './conditions.ts';
import { controllerName, group, kind, namespace, objectName, port, sectionName } from './names.ts';
import { choice, listOf, object, rule, withDefault, withRules } from './shape.ts';

const gatewayGroup = 'gateway.networking.k8s.io';

/** A Gateway, unless it says otherwise: a Service for routes of the mesh. */
export function parentReference(description: string): JsonSchema {
  return object(
    description,
    {
      group: withDefault(group('API group of the parent; empty for a Service.'), gatewayGroup),
      kind: withDefault(
        kind('Kind of the parent: Gateway, ListenerSet, or Service for routes in the mesh.'),
        'Gateway',
      ),
      namespace: namespace('Namespace of the parent, if another than that of the route.'),
      name: objectName('Name of the parent.'),
      sectionName: sectionName('Part of the parent to attach to: a listener of a Gateway, a port of a Service.'),
      port: port('Attach only to listeners, or to the port of a Service, with this number.'),
    },
    'name',
  );
}

/** The ListenerSet's parent: a Gateway as a whole. */
export const parentGateway: JsonSchema = object(
  'The Gateway that gets the listeners.',
  {
    group: withDefault(group('API group of the parent.'), gatewayGroup),
    kind: withDefault(kind('Kind of the parent.'), 'Gateway'),
    name: objectName('Name of the parent.'),
    namespace: namespace('Namespace of the parent, if another than here.'),
  },
  'name',
);

/** `parentRefs` of a route: each part of a parent at most once. */
export const parentReferences: JsonSchema = withRules(
  listOf('What the route is attached to.', parentReference('One parent, or a part of it.'), { max: 32 }),
  ...eachParentOnce(),
);

/** Whether the route is attached to Gateways that are nobody's choice in particular. */
export const useDefaultGateways: JsonSchema = choice(
  'Attach the route to the default Gateways of this scope too.',
  'All',
  'None',
);

/** Status of a route: one entry for each parent and controller. */
export const routeStatus: JsonSchema = object(
  'What became of the route.',
  {
    parents: listOf(
      'One entry for each parent, written by the controller that serves it.',
      object(
        'What one controller says of one parent.',
        {
          parentRef: parentReference('The parent, as the route names it.'),
          controllerName: controllerName('The controller that wrote the entry.'),
          conditions: conditions('Whether the parent takes the route, and whether its references resolve.', {
            min: 1,
            max: 8,
          }),
        },
        'conditions',
        'controllerName',
        'parentRef',
      ),
      { max: 32 },
    ),
  },
  'parents',
);

function eachParentOnce(): ValidationRule[] {
  const sameObject = `p1.group == p2.group && p1.kind == p2.kind && p1.name == p2.name && ${same('__namespace__', "''")}`;
  const section = same('sectionName', "''");
  const number = same('port', '0');
  const bothSay = `${alikeSet('sectionName', "''")} && ${alikeSet('port', '0')}`;
  return [
    rule(
      'sectionName or port must be specified when parentRefs includes 2 or more references to the same parent',
      `self.all(p1, self.all(p2, ${sameObject} ? (${bothSay}): true))`,
    ),
    rule(
      'sectionName or port must be unique when parentRefs includes 2 or more references to the same parent',
      `self.all(p1, self.exists_one(p2, ${sameObject} && ${section} && ${number}))`,
    ),
  ];
}

/** Both leave the field out, or both give it the same value. */
function same(field: string, empty: string): string {
  const bothUnset = `(${unset('p1', field, empty)} && ${unset('p2', field, empty)})`;
  return `(${bothUnset} || (has(p1.${field}) && has(p2.${field}) && p1.${field} == p2.${field}))`;
}

/** Both leave the field out, or neither does. */
function alikeSet(field: string, empty: string): string {
  return `${unset('p1', field, empty)} == ${unset('p2', field, empty)}`;
}

function unset(parent: string, field: string, empty: string): string {
  return `(!has(${parent}.${field}) || ${parent}.${field} == ${empty})`;
}
