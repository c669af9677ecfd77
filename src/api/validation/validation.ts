/** What a validator found. */
import { duplicate, forbidden, invalid, notSupported, required, type FieldError } from '../field-error.ts';
import type { FieldView } from '../field-view.ts';

export interface Validation {
  /** With any of these, the object is refused. */
  readonly errors: readonly FieldError[];
  /** Shown to whoever writes the object: `spec.exportTo: ...`. */
  readonly warnings: readonly string[];
}

/** Collects what is found, while rules look at parts of one object. */
export class Findings implements Validation {
  readonly errors: FieldError[] = [];
  readonly warnings: string[] = [];

  add(errors: readonly FieldError[]): void {
    this.errors.push(...errors);
  }

  /** The value is wrong; `detail` says what it must be. */
  invalid(view: FieldView, detail: string): void {
    this.errors.push(invalid(view.path, view.value, detail));
  }

  /** `problems` of the value, each a detail. */
  invalidAll(view: FieldView, problems: readonly string[]): void {
    for (const problem of problems) this.invalid(view, problem);
  }

  required(view: FieldView, detail = ''): void {
    this.errors.push(required(view.path, detail));
  }

  forbidden(view: FieldView, detail: string): void {
    this.errors.push(forbidden(view.path, detail));
  }

  notSupported(view: FieldView, supported: readonly string[]): void {
    this.errors.push(notSupported(view.path, view.value, supported));
  }

  duplicate(view: FieldView): void {
    this.errors.push(duplicate(view.path, view.value));
  }

  warn(view: FieldView, text: string): void {
    this.warnings.push(view.path === '' ? text : `${view.path}: ${text}`);
  }
}
