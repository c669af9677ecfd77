/** The CEL of CustomResourceDefinitions: the language with optionals, and the functions that Kubernetes adds. */
import { Environment, EvaluationError, Optional } from '@marcbachmann/cel-js';
import { isRecord } from '../../field-view.ts';
import { charge } from './budget.ts';
import { registerNetFunctions } from './functions-net.ts';
import { registerTextFunctions, replacedMethods } from './functions-text.ts';
import {
  beforeEachTurn,
  callOf,
  renameCall,
  replaceMacro,
  visitNodes,
  type Checker,
  type Evaluator,
  type Macro,
  type MacroContext,
  type Node,
} from './syntax.ts';

/** A parsed and checked expression. */
export interface Expression {
  readonly tree: Node;
  readonly usesOldSelf: boolean;
  /** What it gives, as far as can be said before it runs: `bool`, `string`, `dyn`. */
  readonly type: string;
  /** Throws what the evaluation throws. */
  evaluate(variables: { readonly self: unknown; readonly oldSelf?: unknown }): unknown;
}

let environment: Environment | undefined;

/** Throws the library's ParseError or TypeError. */
export function parseExpression(text: string): Expression {
  // Rules are few on most servers' first seconds: made when the first one is read.
  environment ??= createEnvironment(['self', 'oldSelf']);
  const { tree, type, evaluate } = parseIn(environment, text);
  let usesOldSelf = false;
  visitNodes(tree, (node) => {
    if (node.op === 'id' && node.args === 'oldSelf') usesOldSelf = true;
  });
  return { tree, usesOldSelf, type, evaluate: (variables) => evaluate({ oldSelf: null, ...variables }) };
}

/** An expression over the variables of `env`, which `createEnvironment` made. Throws the library's ParseError or TypeError. */
export function parseIn(
  env: Environment,
  text: string,
): { readonly tree: Node; readonly type: string; readonly evaluate: (variables: object) => unknown } {
  const parsed = env.parse(text);
  const tree = parsed.ast as Node;
  visitNodes(tree, (node) => {
    const call = callOf(node);
    const ours = call?.receiver && Object.hasOwn(replacedMethods, call.name) ? replacedMethods[call.name] : undefined;
    if (ours !== undefined) renameCall(node, ours);
    const [selected] = call?.name === 'has' && !call.receiver ? call.args : [];
    if (selected?.op === '.') replaceMacro(node, hasField(selected.args[0] as Node, selected.args[1]));
    beforeEachTurn(node, charge);
  });
  const { valid, type = 'dyn', error } = parsed.check();
  if (!valid) throw error;
  return { tree, type, evaluate: (variables) => parsed(variables) as unknown };
}

/** The language over these variables, of any type. Its patterns do not backtrack, and its loops are charged (`budget.ts`). */
export function createEnvironment(variables: readonly string[]): Environment {
  const created = new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false })
    // An optional is no null, also an empty one.
    .registerOperator('optional == null', () => false);
  for (const name of variables) created.registerVariable(name, 'dyn');
  registerTextFunctions(created);
  registerNetFunctions(created);
  registerOptionalMacro(created, 'optMap', (value) => Optional.of(value));
  registerOptionalMacro(created, 'optFlatMap', (value) => value);
  return created;
}

/** `has(a.b)` for any `a`: the library's own takes only names and their fields, not `has(self[0].x)`. */
function hasField(operand: Node, name: string): Macro {
  return {
    async: false,
    typeCheck(checker, _, context) {
      checker.check(operand, context);
      return checker.getType('bool');
    },
    evaluate(evaluator, _, context) {
      const given = evaluator.run(operand, context);
      const owner: unknown = given instanceof Optional ? given.orValue(undefined) : given;
      if (owner === undefined) return false;
      if (isRecord(owner)) return Object.hasOwn(owner, name) && owner[name] !== undefined;
      throw new EvaluationError('invalid type for field selection.');
    },
  };
}

/** `optional.optMap(name, expression)`: the expression over the value, when there is one. */
function registerOptionalMacro(env: Environment, name: string, wrap: (value: unknown) => unknown): void {
  env.registerFunction(
    `optional.${name}(ast, ast): optional<dyn>`,
    ({ args, receiver }: { args: [{ args: string }, unknown]; receiver: unknown }) => {
      let inner: MacroContext | undefined;
      return {
        typeCheck(checker: Checker, _: unknown, context: MacroContext): unknown {
          const { valueType } = checker.check(receiver, context);
          inner = context.forkWithVariable(args[0].args, valueType ?? checker.getType('dyn'));
          checker.check(args[1], inner);
          return checker.getType('optional');
        },
        evaluate(evaluator: Evaluator, _: unknown, context: MacroContext): unknown {
          const optional = evaluator.run(receiver, context) as Optional;
          if (!optional.hasValue() || !inner) return optional;
          return wrap(evaluator.run(args[1], inner.reuse(context).setIterValue(optional.value(), evaluator)));
        },
      };
    },
    { async: false },
  );
}
