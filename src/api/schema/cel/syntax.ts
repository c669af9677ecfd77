/** The syntax tree of a CEL expression, as far as it is looked at here: the one place that knows how the parser builds it. */
import type { ASTNode } from '@marcbachmann/cel-js';

/** What the parser keeps beside a node: the loop that a macro such as `all` became. */
interface NodeMeta {
  readonly alternate?: Node;
  evaluate(this: void, evaluator: unknown, node: unknown, context: unknown): unknown;
}

/** How a macro is checked and run, where its calls are not turned into loops. */
export interface Macro {
  typeCheck(checker: Checker, macro: unknown, context: MacroContext): unknown;
  evaluate(evaluator: Evaluator, macro: unknown, context: MacroContext): unknown;
  readonly async?: false;
}

export interface MacroContext {
  forkWithVariable(name: string, type: unknown): MacroContext;
  reuse(context: MacroContext): MacroContext;
  setIterValue(value: unknown, evaluator: unknown): MacroContext;
}

export interface Checker {
  check(node: unknown, context: MacroContext): { readonly valueType?: unknown };
  getType(name: string): unknown;
}

export interface Evaluator {
  run(node: unknown, context: MacroContext): unknown;
}

export type Node = ASTNode & {
  readonly meta: NodeMeta;
  setMeta(key: 'evaluate', value: NodeMeta['evaluate']): void;
  setMeta(key: 'macro', value: Macro): void;
};

/** Macros that bind their first argument to each item, or key, of their receiver. */
export const loops: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);

/** Calls `visit` for every node, outermost first. */
export function visitNodes(node: Node, visit: (node: Node) => void): void {
  visit(node);
  for (const child of childrenOf(node)) visitNodes(child, visit);
}

export function childrenOf(node: Node): Node[] {
  const found: Node[] = [];
  collect(node.args, found);
  return found;
}

/** The name, receiver and arguments of a call; the receiver is undefined for a function. */
export function callOf(
  node: Node,
): { readonly name: string; readonly receiver: Node | undefined; readonly args: Node[] } | undefined {
  if (node.op === 'call') return { name: node.args[0], receiver: undefined, args: node.args[1] as Node[] };
  if (node.op !== 'rcall') return undefined;
  return { name: node.args[0], receiver: node.args[1] as Node, args: node.args[2] as Node[] };
}

/** Calls another method, where that is ours and not the library's. Before the expression is checked. */
export function renameCall(node: Node, name: string): void {
  (node.args as unknown[])[0] = name;
}

/** Replaces what a macro call does. Before the expression is checked. */
export function replaceMacro(node: Node, macro: Macro): void {
  node.setMeta('macro', macro);
}

/** Runs `before` ahead of each turn of a loop. */
export function beforeEachTurn(node: Node, before: () => void): void {
  const loop = node.meta.alternate;
  const { step } = (loop?.args ?? {}) as { readonly step?: Node };
  if (!step) return;
  const { evaluate } = step.meta;
  step.setMeta('evaluate', (evaluator, self, context) => {
    before();
    return evaluate(evaluator, self, context);
  });
}

function collect(value: unknown, found: Node[]): void {
  if (Array.isArray(value)) for (const item of value) collect(item, found);
  else if (isNode(value)) found.push(value);
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}
