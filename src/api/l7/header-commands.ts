/** What values of headers may name between percent signs, besides `%REQ(header)%`: commands of Envoy's access logs. */

export const headerCommands = [
  'DOWNSTREAM_REMOTE_ADDRESS',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_LOCAL_ADDRESS',
  'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_LOCAL_PORT',
  'DOWNSTREAM_PEER_URI_SAN',
  'DOWNSTREAM_LOCAL_URI_SAN',
  'REQUESTED_SERVER_NAME',
  'PROTOCOL',
  'ROUTE_NAME',
  'UPSTREAM_CLUSTER',
  'UPSTREAM_REMOTE_ADDRESS',
  'RESPONSE_CODE',
  'START_TIME',
] as const;

export type HeaderCommand = (typeof headerCommands)[number];

/** Commands in `value` that proxies leave as they are. */
export function unknownHeaderCommands(value: string): string[] {
  const known: ReadonlySet<string> = new Set(headerCommands);
  const commands = value.matchAll(/%(?:%|([A-Z_0-9]+)(\([^)%]*\))?((?::\d+)?)%)/g);
  return [...commands].flatMap(([whole, name, argument, length]) => {
    if (name === undefined) return [];
    const isKnown = !length && (name === 'REQ' ? argument !== undefined : known.has(name) && argument === undefined);
    return isKnown ? [] : [whole];
  });
}
