/** What Ambit says beyond Istio's messages: entries of `extensions`, which other readers pass over. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { ExportToSchema, OutboundTrafficPolicy_Mode, OutboundTrafficPolicySchema } from '../gen/extensions_pb.ts';
import type { Extension, ExtensionSchema } from '../gen/workload_pb.ts';
import type { MeshService, MeshWorkload } from '../api/workload.ts';
import { wireError } from './errors.ts';
import { enumTable } from './fields.ts';
import { parseMessage, serializeMessage } from './message.ts';

type ExtensionInit = MessageInitShape<typeof ExtensionSchema>;

const outboundPolicyName = 'ambit.io/outbound-traffic-policy';
const exportToName = 'ambit.io/export-to';

const outboundModes = enumTable({
  'allow-any': OutboundTrafficPolicy_Mode.ALLOW_ANY,
  'registry-only': OutboundTrafficPolicy_Mode.REGISTRY_ONLY,
});

/** Throws `wire.*`: a restriction that cannot be read is not passed over. */
export function decodeOutboundMode(field: string, extensions: readonly Extension[]): MeshWorkload['outboundMode'] {
  const bytes = configOf(field, extensions, outboundPolicyName, OutboundTrafficPolicySchema.typeName);
  if (!bytes) return undefined;
  const mode = outboundModes.decode(`${field}.mode`, parseMessage(OutboundTrafficPolicySchema, bytes).mode);
  return mode === 'allow-any' ? undefined : mode;
}

export function encodeOutboundMode(mode: MeshWorkload['outboundMode']): ExtensionInit[] {
  if (mode === undefined) return [];
  const value = serializeMessage(OutboundTrafficPolicySchema, { mode: outboundModes.encode(mode) });
  return [extension(outboundPolicyName, OutboundTrafficPolicySchema.typeName, value)];
}

/** Throws `wire.*`, as above. */
export function decodeExportTo(field: string, extensions: readonly Extension[]): MeshService['exportTo'] {
  const bytes = configOf(field, extensions, exportToName, ExportToSchema.typeName);
  return bytes && parseMessage(ExportToSchema, bytes).namespaces;
}

export function encodeExportTo(namespaces: MeshService['exportTo']): ExtensionInit[] {
  if (namespaces === undefined) return [];
  const value = serializeMessage(ExportToSchema, { namespaces: [...namespaces] });
  return [extension(exportToName, ExportToSchema.typeName, value)];
}

/** An entry of `extensions`. */
export function extension(name: string, typeName: string, value: Uint8Array): ExtensionInit {
  return { name, config: { typeUrl: `type.googleapis.com/${typeName}`, value } };
}

/** The bytes of the configuration of the extension `name`; undefined when it is not there. */
export function configOf(
  field: string,
  extensions: readonly Extension[],
  name: string,
  typeName: string,
): Uint8Array | undefined {
  const found = extensions.find((one) => one.name === name);
  if (!found) return undefined;
  if (found.config?.typeUrl !== `type.googleapis.com/${typeName}`) {
    throw wireError('unknown-field', field, `the extension ${JSON.stringify(name)} is not of type ${typeName}`);
  }
  return found.config.value;
}
