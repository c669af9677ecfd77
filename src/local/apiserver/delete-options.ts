/** `DeleteOptions`, from the body and the query of a delete. */
import { isJsonObject, type JsonObject } from './merge-patch.ts';
import { badRequest, invalid, type StatusCause } from './status-error.ts';
import { dryRunOf, dryRunProblems, problem } from './write-options.ts';

export type PropagationPolicy = 'Background' | 'Foreground' | 'Orphan';

export interface DeleteChoice {
  readonly gracePeriodSeconds?: number;
  /** Undefined: as the finalizers of the object say, else Background. */
  readonly propagation: PropagationPolicy | undefined;
  readonly preconditions: { readonly uid?: string; readonly resourceVersion?: string };
  readonly dryRun: boolean;
}

const policies: readonly string[] = ['Foreground', 'Background', 'Orphan'];

/** A body wins over the query, as in Kubernetes. Throws 400 and 422. */
export function parseDeleteOptions(body: JsonObject | undefined, query: URLSearchParams): DeleteChoice {
  const options = body ?? {};
  const grace = options['gracePeriodSeconds'] ?? integerOf(query, 'gracePeriodSeconds');
  if (grace !== undefined && (typeof grace !== 'number' || !Number.isInteger(grace))) {
    throw badRequest('gracePeriodSeconds must be a whole number');
  }
  const orphans = options['orphanDependents'] ?? booleanOf(query, 'orphanDependents');
  const policy = options['propagationPolicy'] ?? query.get('propagationPolicy') ?? undefined;
  const listed = Array.isArray(options['dryRun']) ? options['dryRun'].map(String) : dryRunOf(query);

  const causes: Required<StatusCause>[] = [];
  if (orphans !== undefined && policy !== undefined) {
    const message = `Invalid value: ${JSON.stringify(policy)}: orphanDependents and deletionPropagation cannot be both set`;
    causes.push(problem('FieldValueInvalid', 'propagationPolicy', message));
  }
  if (policy !== undefined && (typeof policy !== 'string' || !policies.includes(policy))) {
    const supported = '"Foreground", "Background", "Orphan", "nil"';
    const message = `Unsupported value: ${JSON.stringify(policy)}: supported values: ${supported}`;
    causes.push(problem('FieldValueNotSupported', 'propagationPolicy', message));
  }
  causes.push(...dryRunProblems(listed));
  if (causes.length > 0) throw invalid('meta.k8s.io', 'DeleteOptions', '', causes);

  const { uid, resourceVersion } = isJsonObject(options['preconditions']) ? options['preconditions'] : {};
  return {
    ...(typeof grace === 'number' && { gracePeriodSeconds: grace }),
    propagation: policy !== undefined ? (policy as PropagationPolicy) : orphans === true ? 'Orphan' : undefined,
    preconditions: {
      ...(typeof uid === 'string' && { uid }),
      ...(typeof resourceVersion === 'string' && { resourceVersion }),
    },
    dryRun: listed.length > 0,
  };
}

/** A whole number of the query. Throws 400 in the words of Go's parser. */
export function integerOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^[+-]?\d{1,18}$/.test(text)) {
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  return Number(text);
}

function booleanOf(query: URLSearchParams, name: string): boolean | undefined {
  const text = query.get(name);
  return text === null ? undefined : text === 'true' || text === '1';
}
