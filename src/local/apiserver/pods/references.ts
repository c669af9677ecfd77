/** What a pod refers to: the objects that its node may therefore read, and the tokens that it may ask for. */
import { isJsonObject, type Json, type JsonObject } from '../merge-patch.ts';

export interface PodReferences {
  readonly account: string | undefined;
  readonly secrets: ReadonlySet<string>;
  readonly configMaps: ReadonlySet<string>;
  readonly claims: ReadonlySet<string>;
  /** The audiences of the tokens in its volumes; "" is the API server's own. */
  readonly tokens: readonly string[];
}

/** Takes the spec as it came, whatever it holds. */
export function referencesOf(spec: JsonObject): PodReferences {
  const [secrets, configMaps, claims] = [new Set<string>(), new Set<string>(), new Set<string>()];
  const tokens: string[] = [];
  const add = (to: Set<string>, value: Json | undefined, field = 'name'): void => {
    const name = isJsonObject(value) ? value[field] : undefined;
    if (typeof name === 'string' && name !== '') to.add(name);
  };
  for (const secret of itemsOf(spec['imagePullSecrets'])) add(secrets, secret);
  for (const list of ['initContainers', 'containers', 'ephemeralContainers']) {
    for (const container of itemsOf(spec[list])) {
      for (const source of itemsOf(container['envFrom'])) {
        add(secrets, source['secretRef']);
        add(configMaps, source['configMapRef']);
      }
      for (const { valueFrom } of itemsOf(container['env'])) {
        if (!isJsonObject(valueFrom)) continue;
        add(secrets, valueFrom['secretKeyRef']);
        add(configMaps, valueFrom['configMapKeyRef']);
      }
    }
  }
  for (const volume of itemsOf(spec['volumes'])) {
    add(secrets, volume['secret'], 'secretName');
    add(configMaps, volume['configMap']);
    add(claims, volume['persistentVolumeClaim'], 'claimName');
    const projected = isJsonObject(volume['projected']) ? volume['projected'] : {};
    for (const source of itemsOf(projected['sources'])) {
      add(secrets, source['secret']);
      add(configMaps, source['configMap']);
      const token = source['serviceAccountToken'];
      if (isJsonObject(token)) tokens.push(typeof token['audience'] === 'string' ? token['audience'] : '');
    }
  }
  const given = spec['serviceAccountName'] ?? spec['serviceAccount'];
  const account = typeof given === 'string' && given !== '' ? given : undefined;
  return { account, secrets, configMaps, claims, tokens };
}

/** The objects of a list; none when it is no list. */
export function itemsOf(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}
