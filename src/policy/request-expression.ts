/** CEL over one request or connection: filters of access logs, values of metric tags (ambient-l7, 4.1). */
import { AmbitError, messageOf } from '../lib/errors.ts';
import { openBudget } from '../api/schema/cel/budget.ts';
import { createEnvironment, parseIn } from '../api/schema/cel/environment.ts';
import { visitNodes } from '../api/schema/cel/syntax.ts';

/** What there is to ask about; each is an object with the attributes that Envoy documents. */
export interface ExpressionContext {
  readonly request: unknown;
  readonly response: unknown;
  readonly source: unknown;
  readonly destination: unknown;
  readonly connection: unknown;
  readonly upstream: unknown;
  readonly upstream_peer: unknown;
  readonly downstream_peer: unknown;
  readonly xds: unknown;
  readonly node: unknown;
}

export interface RequestExpression {
  /** Throws where the context lacks what is asked for, or the work is too much. Integers are of type bigint. */
  evaluate(context: ExpressionContext): unknown;
}

const known = [
  'request',
  'response',
  'source',
  'destination',
  'connection',
  'upstream',
  'upstream_peer',
  'downstream_peer',
  'xds',
  'node',
] as const satisfies readonly (keyof ExpressionContext)[];
/** Envoy's, which only Envoy has. */
const foreign = ['metadata', 'filter_state', 'upstream_filter_state', 'wasm', 'plugin_name', 'listener_direction'];

/** Of one request: others wait meanwhile. */
const limits = { steps: 20_000, ms: 10 };

let environment: ReturnType<typeof createEnvironment> | undefined;

/** Throws `policy.bad-expression`. */
export function compileRequestExpression(text: string): RequestExpression {
  environment ??= createEnvironment([...known, ...foreign]);
  try {
    const { tree, evaluate } = parseIn(environment, text);
    visitNodes(tree, (node) => {
      if (node.op === 'id' && foreign.includes(node.args)) throw new Error(`there is no "${node.args}" in this proxy`);
    });
    return {
      evaluate(context) {
        openBudget(limits);
        return evaluate(context);
      },
    };
  } catch (error) {
    // The first line says what, the others point at it.
    const [reason = ''] = (error instanceof Error ? error.message : messageOf(error)).split('\n');
    throw new AmbitError(`Cannot compile the expression ${JSON.stringify(text)}: ${reason}`, {
      code: 'policy.bad-expression',
      blame: 'downstream',
      cause: error,
    });
  }
}
