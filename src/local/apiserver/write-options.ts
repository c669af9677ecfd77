/** The options of writes that come in the query: dry run, field validation, field manager, force. */
import { managerNameOf } from './apply/index.ts';
import type { FieldValidation } from './object-fields.ts';
import { invalid, type StatusCause } from './status-error.ts';

export interface WriteOptions {
  readonly dryRun: boolean;
  readonly validation: FieldValidation;
  /** The field manager: as named, or else from the User-Agent. */
  readonly manager: string;
  /** Only an apply has it. */
  readonly force: boolean;
}

export interface OptionsSource {
  readonly kind: 'CreateOptions' | 'UpdateOptions' | 'PatchOptions';
  readonly query: URLSearchParams;
  readonly userAgent: string | undefined;
  readonly isApply?: boolean;
}

const maxManagerBytes = 128;
const directives: readonly string[] = ['', 'Ignore', 'Strict', 'Warn'];

/** Throws 422 with every problem. */
export function parseWriteOptions(source: OptionsSource): WriteOptions {
  const { query, isApply = false } = source;
  const dryRun = dryRunOf(query);
  const validation = query.get('fieldValidation') ?? '';
  const named = query.get('fieldManager');
  const causes = [...dryRunProblems(dryRun)];
  if (Buffer.byteLength(named ?? '') > maxManagerBytes) {
    causes.push(
      problem('FieldValueTooLong', 'fieldManager', `Too long: may not be more than ${maxManagerBytes} bytes`),
    );
  }
  if (/\p{C}/u.test(named ?? '')) {
    const message = `Invalid value: ${JSON.stringify(named)}: should only contain printable characters`;
    causes.push(problem('FieldValueInvalid', 'fieldManager', message));
  }
  if (!directives.includes(validation)) {
    const supported = directives.map((directive) => JSON.stringify(directive)).join(', ');
    const message = `Unsupported value: ${JSON.stringify(validation)}: supported values: ${supported}`;
    causes.push(problem('FieldValueNotSupported', 'fieldValidation', message));
  }
  if (isApply && (named ?? '') === '') {
    causes.push(problem('FieldValueRequired', 'fieldManager', 'Required value: is required for apply patch'));
  }
  if (!isApply && query.has('force')) {
    causes.push(problem('FieldValueForbidden', 'force', 'Forbidden: may not be specified for non-apply patch'));
  }
  refuseOptions(source.kind, causes);
  return {
    dryRun: dryRun.length > 0,
    validation: validation === '' ? 'Warn' : (validation as FieldValidation),
    manager: managerNameOf(named, source.userAgent),
    force: isApply && ['true', '1'].includes(query.get('force') ?? ''),
  };
}

/** The values of `dryRun`, of which only "All" is known. */
export function dryRunOf(query: URLSearchParams): string[] {
  return query.getAll('dryRun').filter((value) => value !== '');
}

export function dryRunProblems(values: readonly string[]): Required<StatusCause>[] {
  if (values.every((value) => value === 'All')) return [];
  return [
    problem(
      'FieldValueNotSupported',
      'dryRun',
      `Unsupported value: ${JSON.stringify(values)}: supported values: "All"`,
    ),
  ];
}

/** 422 of the named options, if there is any cause. */
export function refuseOptions(kind: string, causes: readonly Required<StatusCause>[]): void {
  if (causes.length > 0) throw invalid('meta.k8s.io', kind, '', causes);
}

export function problem(reason: string, field: string, message: string): Required<StatusCause> {
  return { reason, field, message };
}
