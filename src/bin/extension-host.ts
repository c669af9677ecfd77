/**
 * The process of one extension: loads the user's module and calls it. Started under Node's permission model, which denies files,
 * network, processes, workers and addons; it may read this file alone.
 */
import { stripTypeScriptTypes } from 'node:module';
import type { CreateExtension, ExtensionRequest, HttpExtension } from '../proxy/filters/extension/interface.ts';
import type { FromExtension, ToExtension, WireRequest } from '../proxy/filters/extension/messages.ts';

const tell = (message: FromExtension): void => void process.send?.(message);
let extension: HttpExtension = {};

process.on('message', (message: ToExtension) => {
  switch (message.kind) {
    case 'load':
      load(message.source, message.config).then(
        (loaded) => {
          extension = loaded;
          const { onRequest, onResponse } = loaded;
          tell({ kind: 'loaded', onRequest: onRequest !== undefined, onResponse: onResponse !== undefined });
        },
        (error: unknown) => tell({ kind: 'refused', error: textOf(error) }),
      );
      return;
    case 'ping':
      tell({ kind: 'pong' });
      return;
    case 'request':
      void answer(message.id, () => extension.onRequest?.(requestOf(message.request)));
      return;
    case 'response': {
      const { status, headers, request } = message;
      void answer(message.id, () => extension.onResponse?.({ status, headers }, requestOf(request)));
    }
  }
});
// Without the proxy there is nobody to work for.
process.on('disconnect', () => process.exit(0));
process.on('unhandledRejection', () => {});
tell({ kind: 'hello' });

async function load(source: string, config: string): Promise<HttpExtension> {
  const create = (await importText(source)).default;
  if (typeof create !== 'function') throw new Error('its default export is no function');
  const made = await (create as CreateExtension)(JSON.parse(config === '' ? 'null' : config));
  if (typeof made !== 'object' || made === null) throw new Error('its default export returned no object');
  for (const hook of ['onRequest', 'onResponse'] as const) {
    if (made[hook] !== undefined && typeof made[hook] !== 'function') throw new Error(`${hook} is no function`);
  }
  return made;
}

/** As JavaScript, or, where that is no valid one, with its types taken out. */
async function importText(source: string): Promise<{ readonly default?: unknown }> {
  const importAs = (text: string): Promise<{ readonly default?: unknown }> =>
    import(`data:text/javascript;charset=utf-8,${encodeURIComponent(text)}`) as Promise<{ readonly default?: unknown }>;
  try {
    return await importAs(source);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return importAs(stripTypeScriptTypes(source));
  }
}

async function answer(id: number, call: () => unknown): Promise<void> {
  try {
    const verdict = await call();
    tell({ kind: 'verdict', id, verdict: (verdict as object | undefined) ?? null });
  } catch (error) {
    tell({ kind: 'failed', id, error: textOf(error) });
  }
}

function requestOf({ body, ...rest }: WireRequest): ExtensionRequest {
  if (!body) return rest;
  return { ...rest, body: { bytes: Buffer.from(body.base64, 'base64'), whole: body.whole } };
}

function textOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
