/** What a schema can say of a rule before it ever runs: fields that do not exist, comparisons of what never compares. */
import type { JsonSchema } from '../schema.ts';
import { celName } from './names.ts';
import { callOf, childrenOf, loops, type Node } from './syntax.ts';

export interface Problem {
  /** Offset in the expression. */
  readonly at: number;
  readonly message: string;
}

/** A schema, or what little is known of a value that has none. */
type Known = JsonSchema | undefined;
type Scope = ReadonlyMap<string, Known>;

const textSchema: JsonSchema = { type: 'string' };
const literals: Readonly<Record<string, JsonSchema>> = {
  bigint: { type: 'integer' },
  number: { type: 'number' },
  string: textSchema,
  boolean: { type: 'boolean' },
};
const scalarTypes: Readonly<Record<string, string>> = {
  integer: 'int',
  number: 'double',
  boolean: 'bool',
  string: 'string',
};

/** `schema` is that of `self`. Worded as cel-go does: `undefined field 'x'`. */
export function analyse(tree: Node, schema: JsonSchema, optionalOldSelf: boolean): Problem[] {
  const problems: Problem[] = [];
  const scope: Scope = new Map([
    ['self', schema],
    ['oldSelf', optionalOldSelf ? undefined : schema],
  ]);
  infer(tree, scope, problems);
  return problems;
}

/** The schema of what an expression gives, where that is known; adds the problems in it. */
function infer(node: Node, scope: Scope, problems: Problem[]): Known {
  switch (node.op) {
    case 'id':
      return scope.get(node.args);
    case 'value':
      return literalSchema(node.args);
    case '.':
    case '.?':
      return fieldOf(infer(node.args[0] as Node, scope, problems), node.args[1], node, problems);
    case '[]': {
      const owner = infer(node.args[0] as Node, scope, problems);
      infer(node.args[1] as Node, scope, problems);
      return owner?.items ?? owner?.additionalProperties;
    }
    case '?:': {
      const [condition, yes, no] = node.args as [Node, Node, Node];
      infer(condition, scope, problems);
      const first = infer(yes, scope, problems);
      const second = infer(no, scope, problems);
      return first === second ? first : undefined;
    }
    case '==':
    case '!=':
    case '<':
    case '<=':
    case '>':
    case '>=': {
      const [left, right] = (node.args as [Node, Node]).map((side) => celType(infer(side, scope, problems)));
      if (left !== undefined && right !== undefined && !comparable(node.op, left, right)) {
        const message = `found no matching overload for '_${node.op}_' applied to '(${left}, ${right})'`;
        problems.push({ at: node.pos, message });
      }
      return { type: 'boolean' };
    }
    case 'call':
    case 'rcall':
      return inferCall(node, scope, problems);
    case '!_':
    case '-_':
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
    case '&&':
    case '||':
    case 'in':
    case 'list':
    case 'map':
    case '[?]':
      for (const child of childrenOf(node)) infer(child, scope, problems);
      return undefined;
  }
}

function inferCall(node: Node, scope: Scope, problems: Problem[]): Known {
  const call = callOf(node);
  if (!call) return undefined;
  const { name, receiver, args } = call;
  const owner = receiver && infer(receiver, scope, problems);
  const [variable, ...rest] = args;
  if (receiver && loops.has(name) && variable?.op === 'id') {
    const inner = new Map(scope).set(
      variable.args,
      owner?.items ?? (owner?.additionalProperties ? textSchema : undefined),
    );
    const results = rest.map((each) => infer(each, inner, problems));
    if (name === 'filter') return owner?.items ? owner : undefined;
    const last = results.at(-1);
    return name === 'map' ? (last ? { type: 'array', items: last } : undefined) : { type: 'boolean' };
  }
  if (name === 'optMap' || name === 'optFlatMap' || name === 'bind') {
    const named = name === 'bind' ? infer(args[1] as Node, scope, problems) : owner;
    const inner = variable?.op === 'id' ? new Map(scope).set(variable.args, named) : scope;
    const body = args.at(-1);
    const result = body && infer(body, inner, problems);
    return name === 'bind' ? result : undefined;
  }
  for (const each of args) infer(each, scope, problems);
  return name === 'size' ? { type: 'integer' } : undefined;
}

function fieldOf(owner: Known, name: string, node: Node, problems: Problem[]): Known {
  if (!owner) return undefined;
  const { properties, additionalProperties } = owner;
  if (!properties) {
    if (additionalProperties || owner['x-kubernetes-preserve-unknown-fields'] || owner.type === undefined) {
      return additionalProperties;
    }
    const type = celType(owner) ?? owner.type;
    problems.push({ at: dotOf(node), message: `type '${type}' does not support field selection` });
    return undefined;
  }
  const found = Object.entries(properties).find(([field]) => celName(field) === name);
  if (found) return found[1];
  if (!additionalProperties) problems.push({ at: dotOf(node), message: `undefined field '${name}'` });
  return additionalProperties;
}

/** Where a selection is reported: at its dot. */
function dotOf(node: Node): number {
  return Math.max(0, node.input.lastIndexOf('.', node.pos));
}

function literalSchema(value: unknown): Known {
  return literals[typeof value];
}

/** The CEL type of what a schema describes, where all its values have the same. */
function celType(schema: Known): string | undefined {
  if (!schema || schema['x-kubernetes-int-or-string'] || schema.nullable) return undefined;
  if (schema.type === 'string' && schema.format !== undefined) return undefined;
  return scalarTypes[schema.type ?? ''];
}

function comparable(operator: string, left: string, right: string): boolean {
  if (left === right) return true;
  // Order is defined across numbers, equality is not.
  const numbers = new Set(['int', 'double']);
  return operator !== '==' && operator !== '!=' && numbers.has(left) && numbers.has(right);
}
