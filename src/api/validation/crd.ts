/** CustomResourceDefinitions (`apiextensions-apiserver/pkg/apis/apiextensions/validation`). */
import { tryParseJsonPath } from '../custom/json-path.ts';
import { forbidden, invalid, notSupported, required, type FieldError } from '../field-error.ts';
import { isRecord, type FieldView } from '../field-view.ts';
import { sameJson } from '../schema/json-equal.ts';
import { dns1035Label, dns1123Subdomain } from './names.ts';
import { validateStructuralSchema } from './structural-schema.ts';

/** What no update may change while objects of the kind may exist. */
const fixed = ['group', 'scope', 'names.plural', 'names.kind'];

export function validateCrd(crd: FieldView, old: FieldView | undefined): FieldError[] {
  const spec = crd.at('spec');
  const errors = [...checkNames(spec), ...checkVersions(spec, old?.at('spec'))];
  const group = spec.at('group');
  const plural = spec.at('names').at('plural');
  const wanted = `${plural.text ?? ''}.${group.text ?? ''}`;
  const name = crd.at('metadata').at('name');
  if (name.text !== wanted)
    errors.unshift(invalid(name.path, name.value ?? '', 'must be spec.names.plural+"."+spec.group'));
  if ((group.text ?? '') === '') errors.push(required(group.path));
  else {
    errors.push(...dns1123Subdomain(group.text ?? '').map((why) => invalid(group.path, group.value, why)));
    if (!group.text?.includes('.'))
      errors.push(invalid(group.path, group.value, 'should be a domain with at least one dot'));
  }
  const scope = spec.at('scope');
  if (!scope.exists) errors.push(required(scope.path));
  else if (scope.text !== 'Cluster' && scope.text !== 'Namespaced') {
    errors.push(notSupported(scope.path, scope.value, ['Cluster', 'Namespaced']));
  }
  const strategy = spec.at('conversion').at('strategy');
  if (strategy.exists && strategy.text !== 'None') {
    // Kubernetes also knows Webhook; this server converts nothing.
    errors.push(notSupported(strategy.path, strategy.value, ['None']));
  }
  if (spec.at('preserveUnknownFields').boolean === true) {
    const at = spec.at('preserveUnknownFields').path;
    errors.push(
      invalid(
        at,
        true,
        'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
      ),
    );
  }
  const unapproved = approvalProblem(crd);
  if (unapproved) errors.push(unapproved);
  if (old) errors.push(...fixedFields(spec, old));
  return errors;
}

function fixedFields(spec: FieldView, old: FieldView): FieldError[] {
  const at = (view: FieldView, path: string): FieldView => path.split('.').reduce((each, name) => each.at(name), view);
  return fixed.flatMap((path) => {
    const field = at(spec, path);
    const before = at(old.at('spec'), path);
    return sameJson(field.value, before.value) ? [] : [invalid(field.path, field.value ?? '', 'field is immutable')];
  });
}

function checkNames(spec: FieldView): FieldError[] {
  const names = spec.at('names');
  const errors: FieldError[] = [];
  for (const name of ['plural', 'singular', 'kind', 'listKind']) {
    const field = names.at(name);
    const text = field.text ?? '';
    const isKind = name === 'kind' || name === 'listKind';
    if (text === '') errors.push(required(field.path));
    else {
      const prefix = isKind ? 'may have mixed case, but should otherwise match: ' : '';
      const problems = dns1035Label(isKind ? text.toLowerCase() : text);
      errors.push(...problems.map((why) => invalid(field.path, text, `${prefix}${why}`)));
    }
  }
  for (const list of ['shortNames', 'categories']) {
    for (const item of names.at(list).items()) {
      errors.push(...dns1035Label(item.text ?? '').map((why) => invalid(item.path, item.value, why)));
    }
  }
  const { text } = names.at('listKind');
  if (text !== undefined && text === names.at('kind').text) {
    errors.push(invalid(names.at('listKind').path, text, 'kind and listKind may not be the same'));
  }
  return errors;
}

function checkVersions(spec: FieldView, old: FieldView | undefined): FieldError[] {
  const versions = spec.at('versions');
  const list = versions.items();
  const errors: FieldError[] = [];
  const names = list.map((version) => version.at('name').text);
  if (new Set(names).size !== names.length) {
    errors.push(invalid(versions.path, names, 'must contain unique version names'));
  }
  if (list.filter((version) => version.at('storage').boolean === true).length !== 1) {
    errors.push(invalid(versions.path, names, 'must have exactly one version marked as storage version'));
  }
  const before = old?.at('versions').items() ?? [];
  for (const version of list) {
    const name = version.at('name');
    errors.push(...dns1035Label(name.text ?? '').map((why) => invalid(name.path, name.value ?? '', why)));
    const schema = version.at('schema').at('openAPIV3Schema');
    if (!isRecord(schema.value)) errors.push(required(schema.path, 'schemas are required'));
    else {
      const was = before
        .find((each) => each.at('name').text === name.text)
        ?.at('schema')
        .at('openAPIV3Schema');
      // What was accepted once need not be compiled again for every change of a label.
      if (!sameJson(was?.value, schema.value)) errors.push(...validateStructuralSchema(schema.value, schema.path));
    }
    errors.push(...checkColumns(version), ...checkScale(version.at('subresources').at('scale')));
    const warning = version.at('deprecationWarning');
    if (warning.exists && version.at('deprecated').boolean !== true) {
      errors.push(invalid(warning.path, warning.value, 'can only be set for deprecated versions'));
    }
    for (const field of version.at('selectableFields').items()) {
      const path = field.at('jsonPath');
      if ((path.text ?? '') === '') errors.push(required(path.path));
      else if (path.text?.startsWith('.metadata')) {
        errors.push(invalid(path.path, path.text, 'must not point to fields in metadata'));
      }
    }
  }
  return errors;
}

const columnTypes = ['boolean', 'date', 'integer', 'number', 'string'];
const columnFormats = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password'];

function checkColumns(version: FieldView): FieldError[] {
  return version
    .at('additionalPrinterColumns')
    .items()
    .flatMap((column) => {
      const errors: FieldError[] = [];
      const [name, type, format, path] = ['name', 'type', 'format', 'jsonPath'].map((field) => column.at(field));
      if ((name?.text ?? '') === '') errors.push(required(name?.path ?? ''));
      const oneOf = `must be one of ${columnTypes.join(',')}`;
      if ((type?.text ?? '') === '') errors.push(required(type?.path ?? '', oneOf));
      else if (!columnTypes.includes(type?.text ?? '')) errors.push(invalid(type?.path ?? '', type?.value, oneOf));
      if (format?.text && !columnFormats.includes(format.text)) {
        errors.push(invalid(format.path, format.value, `must be one of ${columnFormats.join(',')}`));
      }
      if ((path?.text ?? '') === '') errors.push(required(`${column.path}.JSONPath`));
      else if (!path?.text?.startsWith('.') || !tryParseJsonPath(path.text)) {
        errors.push(invalid(`${column.path}.JSONPath`, path?.value, 'is an invalid path'));
      }
      return errors;
    });
}

function checkScale(scale: FieldView): FieldError[] {
  if (!scale.exists) return [];
  const roots: readonly [name: string, under: readonly string[], needed: boolean][] = [
    ['specReplicasPath', ['.spec.'], true],
    ['statusReplicasPath', ['.status.'], true],
    ['labelSelectorPath', ['.spec.', '.status.'], false],
  ];
  return roots.flatMap(([name, under, needed]) => {
    const field = scale.at(name);
    const text = field.text ?? '';
    if (text === '') return needed ? [required(field.path)] : [];
    if (/^(?:\.[^.[\]]+)+$/.test(text) && under.some((root) => text.startsWith(root))) return [];
    const place = under.length > 1 ? 'either .spec or .status' : under[0]?.slice(0, -1);
    return [invalid(field.path, text, `should be a json path under ${place}`)];
  });
}

/** Group names that belong to Kubernetes need an annotation that says so (`api-approved.kubernetes.io`). */
function approvalProblem(crd: FieldView): FieldError | undefined {
  const group = crd.at('spec').at('group').text ?? '';
  if (!/(?:^|\.)(?:k8s|kubernetes)\.io$/.test(group)) return undefined;
  const approval = crd.at('metadata').at('annotations').at('api-approved.kubernetes.io');
  if (/^https?:\/\/|^unapproved/.test(approval.text ?? '')) return undefined;
  return forbidden(
    'metadata.annotations[api-approved.kubernetes.io]',
    'protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
  );
}
