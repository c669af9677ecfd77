/** Validation of object metadata, label maps and label selectors. */
import { isDeepStrictEqual } from 'node:util';
import { invalid, notSupported, required, tooLong, type FieldError } from '../field-error.ts';
import type { FieldView } from '../field-view.ts';
import { dns1123Label, labelValueProblems, qualifiedName } from './names.ts';

export type NameRule = (value: string) => string[];

const annotationBytes = 256 * 1024;

/** What is wrong with `view`, when it is text, by each of the rule's complaints. */
export function checkText(view: FieldView, rule: NameRule): FieldError[] {
  return view.text === undefined ? [] : rule(view.text).map((problem) => invalid(view.path, view.value, problem));
}

/** Like `checkText`, and it must be there. */
export function checkRequiredText(view: FieldView, rule: NameRule, detail = ''): FieldError[] {
  if (!view.exists || view.text === '') return [required(view.path, detail)];
  return checkText(view, rule);
}

export function validateMeta(meta: FieldView, nameRule: NameRule, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const name = meta.at('name');
  const generateName = meta.at('generateName');
  if (name.text === undefined || name.text === '') {
    if ((generateName.text ?? '') === '') errors.push(required(name.path, 'name or generateName is required'));
  } else errors.push(...checkText(name, nameRule));
  if (generateName.text) {
    // The suffix that will follow makes a trailing "-" or "." fine.
    const probe = generateName.text.replace(/[-.]$/, '');
    errors.push(
      ...nameRule(probe === '' ? 'a' : probe).map((problem) => invalid(generateName.path, generateName.value, problem)),
    );
  }
  const namespace = meta.at('namespace');
  if (namespaced) errors.push(...checkRequiredText(namespace, dns1123Label));
  else if (namespace.text)
    errors.push({
      path: namespace.path,
      reason: 'FieldValueForbidden',
      message: 'Forbidden: not allowed on this type',
    });
  errors.push(...validateLabels(meta.at('labels')), ...validateAnnotations(meta.at('annotations')));
  for (const [i, finalizer] of meta.at('finalizers').items().entries()) {
    errors.push(
      ...checkText(finalizer, qualifiedName).map((error) => ({ ...error, path: `${meta.path}.finalizers[${i}]` })),
    );
  }
  const controllers = meta
    .at('ownerReferences')
    .items()
    .filter((owner) => owner.at('controller').boolean === true);
  for (const owner of meta.at('ownerReferences').items()) {
    for (const field of ['apiVersion', 'kind', 'name', 'uid']) {
      if (owner.at(field).text === '') errors.push(invalid(owner.at(field).path, '', 'must not be empty'));
    }
  }
  if (controllers.length > 1) {
    errors.push(
      invalid(
        meta.at('ownerReferences').path,
        controllers.length,
        'Only one reference can have Controller set to true',
      ),
    );
  }
  return errors;
}

/** Kubernetes puts the path of the map, and names the key in the message. */
export function validateLabels(labels: FieldView): FieldError[] {
  return labels
    .entries()
    .flatMap(([key, value]) => [
      ...qualifiedName(key).map((problem) => invalid(labels.path, key, problem)),
      ...(value.text === undefined
        ? []
        : labelValueProblems(value.text).map((problem) => invalid(labels.path, value.value, problem))),
    ]);
}

function validateAnnotations(annotations: FieldView): FieldError[] {
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const [key, value] of annotations.entries()) {
    errors.push(...qualifiedName(key.toLowerCase()).map((problem) => invalid(annotations.path, key, problem)));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value.text ?? '');
  }
  if (bytes > annotationBytes) errors.push(tooLong(annotations.path, annotationBytes));
  return errors;
}

export function validateLabelSelector(selector: FieldView): FieldError[] {
  const errors = validateLabels(selector.at('matchLabels'));
  for (const expression of selector.at('matchExpressions').items()) {
    const operator = expression.at('operator');
    const values = expression.at('values');
    const count = values.items().length;
    switch (operator.text) {
      case 'In':
      case 'NotIn':
        if (count === 0) errors.push(required(values.path, "must be specified when `operator` is 'In' or 'NotIn'"));
        break;
      case 'Exists':
      case 'DoesNotExist':
        if (count > 0) {
          const detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
          errors.push({ path: values.path, reason: 'FieldValueForbidden', message: `Forbidden: ${detail}` });
        }
        break;
      case undefined:
        break;
      default:
        errors.push(invalid(operator.path, operator.value, 'not a valid selector operator'));
    }
    errors.push(...checkText(expression.at('key'), qualifiedName));
  }
  return errors;
}

/** The field must be what it was. */
export function immutable(now: FieldView, before: FieldView): FieldError[] {
  return isDeepStrictEqual(now.value, before.value) ? [] : [invalid(now.path, now.value, 'field is immutable')];
}

export function oneOfValues(view: FieldView, supported: readonly string[]): FieldError[] {
  return view.text === undefined || supported.includes(view.text)
    ? []
    : [notSupported(view.path, view.value, supported)];
}

export function nonNegative(view: FieldView): FieldError[] {
  return view.number !== undefined && view.number < 0
    ? [invalid(view.path, view.value, 'must be greater than or equal to 0')]
    : [];
}
