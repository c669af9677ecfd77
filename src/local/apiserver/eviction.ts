/** `POST pods/NAME/eviction` (policy/v1): a delete that PodDisruptionBudgets may refuse. */
import type { ServerResponse } from 'node:http';
import { matchesSelector, type PodDisruptionBudget } from '../../api/index.ts';
import { parseDeleteOptions, type DeleteChoice } from './delete-options.ts';
import { mediaTypeOf, parseObjectBody, readBody, sendJson } from './http-messages.ts';
import { isJsonObject } from './merge-patch.ts';
import type { ApiObject } from './object-fields.ts';
import { timestamp } from './object-rules.ts';
import type { ReadContext } from './reads.ts';
import { storageOf } from './served-kinds.ts';
import { badRequest, notFound, StatusError } from './status-error.ts';
import type { Transaction } from './store.ts';
import { commit, optionsOf, writeContext, type WriteRequest } from './write-handlers.ts';
import { deleteObject } from './writes.ts';

const budgetStorage = 'poddisruptionbudgets.policy';

export async function handleEviction(
  context: ReadContext,
  request: WriteRequest,
  response: ServerResponse,
): Promise<void> {
  const { kind, namespace = '', name = '', http } = request;
  const body = parseObjectBody(await readBody(http), mediaTypeOf(http));
  const metadata = isJsonObject(body['metadata']) ? body['metadata'] : {};
  if (typeof metadata['name'] === 'string' && metadata['name'] !== '' && metadata['name'] !== name)
    throw badRequest('name in URL does not match name in Eviction object');
  const options = isJsonObject(body['deleteOptions']) ? body['deleteOptions'] : undefined;
  const choice = parseDeleteOptions(options, request.query);
  const write = {
    ...writeContext(context, request, response, { ...optionsOf(request, 'CreateOptions'), dryRun: choice.dryRun }),
    subresource: '',
  };
  await commit(
    context,
    write,
    (tx) => {
      const pod = tx.get(storageOf(kind), namespace, name)?.object as ApiObject | undefined;
      if (!pod) throw notFound(kind, name);
      if (needsBudget(pod)) spendBudget(tx, pod, context.clock.nowMs());
      return deleteObject(tx, write, name, choice satisfies DeleteChoice);
    },
    'DELETE',
  );
  sendJson(response, 201, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 });
}

/** Nobody waits for a pod that does not serve yet, has ended or is going. */
function needsBudget(pod: ApiObject): boolean {
  const phase = pod.status?.['phase'];
  return !pod.metadata.deletionTimestamp && phase !== 'Pending' && phase !== 'Succeeded' && phase !== 'Failed';
}

/** Takes the pod off the budget that selects it. Throws 429 when the budget has nothing left, 500 when there are two. */
function spendBudget(tx: Transaction, pod: ApiObject, nowMs: number): void {
  const { name = '', namespace = '' } = pod.metadata;
  const budgets = tx
    .list(budgetStorage, namespace)
    .map(({ object }) => object as PodDisruptionBudget)
    .filter(({ spec }) => spec.selector && matchesSelector(pod.metadata.labels, spec.selector));
  const [budget] = budgets;
  if (!budget) return;
  if (budgets.length > 1) {
    const message = 'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.';
    throw new StatusError({ code: 500, reason: 'InternalError', message });
  }
  const { spec, status } = budget;
  if (!isReady(pod)) {
    const healthy = status?.currentHealthy ?? 0;
    const isWhole = healthy >= (status?.desiredHealthy ?? 0) && (status?.desiredHealthy ?? 0) > 0;
    if (spec.unhealthyPodEvictionPolicy === 'AlwaysAllow' || isWhole) return;
  }
  if ((status?.observedGeneration ?? 0) < (budget.metadata.generation ?? 0))
    throw refused(`The disruption budget ${budget.metadata.name} is still being processed by the server.`, 10);
  const allowed = status?.disruptionsAllowed ?? 0;
  if (allowed <= 0) {
    const why = `The disruption budget ${budget.metadata.name} needs ${status?.desiredHealthy ?? 0} healthy pods and has ${status?.currentHealthy ?? 0} currently`;
    throw refused(why);
  }
  const disruptedPods = { ...status?.disruptedPods, [name]: timestamp(nowMs) };
  tx.put(budgetStorage, {
    ...budget,
    status: { ...status, disruptionsAllowed: allowed - 1, disruptedPods },
  } as unknown as ApiObject);
}

function isReady(pod: ApiObject): boolean {
  const conditions = pod.status?.['conditions'];
  if (!Array.isArray(conditions)) return false;
  return conditions.some((item) => isJsonObject(item) && item['type'] === 'Ready' && item['status'] === 'True');
}

function refused(why: string, retryAfterSeconds?: number): StatusError {
  return new StatusError({
    code: 429,
    reason: 'TooManyRequests',
    message: "Cannot evict pod as it would violate the pod's disruption budget.",
    details: {
      causes: [{ reason: 'DisruptionBudget', message: why }],
      ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    },
  });
}
