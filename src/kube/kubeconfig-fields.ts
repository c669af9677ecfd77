/** Fields of a kubeconfig, read with their place: every complaint names file, entry and field. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { load } from 'js-yaml';
import { AmbitError, messageOf } from '../lib/errors.ts';

export function kubeconfigError(file: string, what: string, cause?: unknown): AmbitError {
  return new AmbitError(`Cannot use kubeconfig "${file}": ${what}`, {
    code: 'kube.kubeconfig',
    blame: 'downstream',
    cause,
  });
}

/** One mapping of a kubeconfig, which knows where it stands. */
export class Fields {
  readonly #file: string;
  readonly #place: string;
  readonly #values: Readonly<Record<string, unknown>>;

  /** `place` is how messages call it: `user "admin"`; "" for the whole file. */
  constructor(file: string, place: string, values: Readonly<Record<string, unknown>>) {
    this.#file = file;
    this.#place = place;
    this.#values = values;
  }

  static parse(file: string): Fields {
    let root: unknown;
    try {
      const text = readFileSync(file, 'utf8');
      root = text.trim() === '' ? {} : (load(text) ?? {});
    } catch (error) {
      throw kubeconfigError(file, messageOf(error), error);
    }
    if (!isMapping(root)) throw kubeconfigError(file, 'it is not a mapping');
    const fields = new Fields(file, '', root);
    const kind = fields.string('kind');
    if (kind !== undefined && kind !== 'Config') throw kubeconfigError(file, `kind is "${kind}", not Config`);
    return fields;
  }

  fail(what: string, cause?: unknown): AmbitError {
    return kubeconfigError(this.#file, this.#place === '' ? what : `${this.#place}: ${what}`, cause);
  }

  has(name: string): boolean {
    return this.#values[name] !== undefined && this.#values[name] !== null;
  }

  raw(name: string): unknown {
    return this.#values[name];
  }

  /** Undefined when absent or empty. */
  string(name: string): string | undefined {
    const value = this.#values[name];
    if (value === undefined || value === null || value === '') return undefined;
    if (typeof value !== 'string') throw this.fail(`${name} must be a string (put it in quotes)`);
    return value;
  }

  boolean(name: string): boolean {
    const value = this.#values[name];
    if (value === undefined || value === null) return false;
    if (typeof value !== 'boolean') throw this.fail(`${name} must be true or false`);
    return value;
  }

  strings(name: string): string[] | undefined {
    const value = this.#values[name];
    if (value === undefined || value === null) return undefined;
    if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) {
      throw this.fail(`${name} must be a list of strings`);
    }
    return value;
  }

  mapping(name: string): Fields | undefined {
    const value = this.#values[name];
    if (value === undefined || value === null) return undefined;
    if (!isMapping(value)) throw this.fail(`${name} must be a mapping`);
    return new Fields(this.#file, this.#place === '' ? name : `${this.#place}: ${name}`, value);
  }

  list(name: string): Fields[] {
    const value = this.#values[name];
    if (value === undefined || value === null) return [];
    if (!Array.isArray(value)) throw this.fail(`${name} must be a list`);
    return value.map((item: unknown, index) => {
      if (!isMapping(item)) throw this.fail(`${name}[${index}] must be a mapping`);
      const place = `${name}[${index}]`;
      return new Fields(this.#file, this.#place === '' ? place : `${this.#place}: ${place}`, item);
    });
  }

  /** The entry of one of kubeconfig's named lists: `list: [{name, <key>: {...}}]`. */
  entry(list: string, name: string, key: string): Fields | undefined {
    const found = this.list(list).find((item) => item.string('name') === name);
    const content = found?.raw(key);
    return isMapping(content) ? new Fields(this.#file, `${key} "${name}"`, content) : undefined;
  }

  names(list: string): string[] {
    return this.list(list).flatMap((item) => item.string('name') ?? []);
  }

  /** A path, relative to the folder of the kubeconfig that says it. */
  path(name: string): string | undefined {
    const path = this.string(name);
    return path === undefined ? undefined : resolve(this.directory, path);
  }

  get directory(): string {
    return dirname(resolve(this.#file));
  }

  /** `<name>-data` in base64, or the content of file `<name>`; both is what the data says. */
  pem(name: string): Pem | undefined {
    const data = this.string(`${name}-data`);
    if (data !== undefined) {
      if (!/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(data)) throw this.fail(`${name}-data is not base64`);
      return { text: this.#checkPem(`${name}-data`, Buffer.from(data, 'base64').toString('utf8')) };
    }
    const path = this.path(name);
    if (path === undefined) return undefined;
    const read = (): string => {
      try {
        return this.#checkPem(name, readFileSync(path, 'utf8'));
      } catch (error) {
        throw error instanceof AmbitError ? error : this.fail(`${name}: ${messageOf(error)}`, error);
      }
    };
    return { text: read(), read };
  }

  #checkPem(name: string, text: string): string {
    if (!text.includes('-----BEGIN ')) throw this.fail(`${name} holds no PEM block`);
    return text;
  }
}

export interface Pem {
  readonly text: string;
  /** There when it lives in a file: the content as it is now. */
  readonly read?: () => string;
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
