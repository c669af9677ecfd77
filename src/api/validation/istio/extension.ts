/** What runs in the path of requests: WasmPlugin and TrafficExtension. */
import type { FieldView } from '../../field-view.ts';
import { Findings, type Validation } from '../validation.ts';
import { checkAttachment } from './attachment.ts';
import { checkObject } from './object.ts';
import { checkPort } from './values.ts';

const schemes = ['oci', 'http', 'https', 'file'];
const maxScriptBytes = 64 * 1024;

export function validateWasmPlugin(plugin: FieldView): Validation {
  const found = new Findings();
  checkObject(plugin, found);
  checkExtension(plugin.at('spec'), found);
  checkModule(plugin.at('spec'), found);
  return found;
}

export function validateTrafficExtension(extension: FieldView): Validation {
  const found = new Findings();
  const spec = extension.at('spec');
  checkObject(extension, found);
  checkExtension(spec, found);
  const { wasm, lua } = { wasm: spec.at('wasm'), lua: spec.at('lua') };
  if (!wasm.exists && !lua.exists) found.required(spec, 'set wasm or lua');
  if (wasm.exists && lua.exists) found.forbidden(lua, 'may not be set together with `wasm`');
  if (wasm.exists) checkModule(wasm, found);
  const code = lua.at('inlineCode');
  if (lua.exists && !code.text) found.required(code);
  const size = Buffer.byteLength(code.text ?? '');
  if (size > maxScriptBytes)
    found.invalid({ ...code, value: `${size} bytes` }, `may have at most ${maxScriptBytes} bytes`);
  return found;
}

function checkExtension(spec: FieldView, found: Findings): void {
  checkAttachment(spec, found);
  for (const match of spec.at('match').items()) {
    for (const port of match.at('ports').items()) checkPort(port.at('number'), found);
  }
}

function checkModule(module: FieldView, found: Findings): void {
  const url = module.at('url');
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url.text ?? '')?.[1]?.toLowerCase();
  if (!url.text) found.required(url);
  else if (scheme !== undefined && !schemes.includes(scheme)) {
    found.invalid(url, `must have one of the schemes ${schemes.join(', ')}, or none for an image`);
  } else if (/\s/.test(url.text)) found.invalid(url, 'must be a URL, or the name of an image');
  const sum = module.at('sha256');
  if (sum.text && !/^[a-f0-9]{64}$/.test(sum.text)) found.invalid(sum, 'must be 64 hexadecimal digits in lower case');
  if (module.at('verificationKey').text) found.warn(module.at('verificationKey'), 'is not used: use sha256');
  const names = new Set<string>();
  for (const variable of module.at('vmConfig').at('env').items()) {
    const name = variable.at('name');
    if (!name.text) found.required(name);
    else if (names.has(name.text)) found.duplicate(name);
    names.add(name.text ?? '');
    if (variable.at('valueFrom').text === 'HOST' && variable.at('value').text) {
      found.forbidden(variable.at('value'), "may not be set when valueFrom is HOST, which takes the proxy's own");
    }
  }
}
