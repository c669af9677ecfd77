/** Which address of a workload a caller can dial: IP families of the caller, of the service and of the workload. */
import type { MeshService, MeshWorkload } from '../api/workload.ts';
import { ipv4, ipv6, type IpFamilies } from '../lib/ip-families.ts';

export { ipv4, ipv6, type IpFamilies };

/** Of canonical text: no look at the whole of it, since a service may have 10,000 addresses. */
export function familyOfAddress(ip: string): IpFamilies {
  return ip.includes(':') ? ipv6 : ipv4;
}

/** The families in which a workload can dial: those of its addresses, and that of the address it calls from. */
export function familiesOf(workload: MeshWorkload, sourceIp: string): IpFamilies {
  let families = familyOfAddress(sourceIp);
  for (const ip of workload.addresses) families |= familyOfAddress(ip);
  return families;
}

/** The families in which a service is offered. */
export function serviceFamilies(families: MeshService['ipFamilies']): IpFamilies {
  switch (families) {
    case 'ipv4':
      return ipv4;
    case 'ipv6':
      return ipv6;
    case 'automatic':
    case 'dual':
      return ipv4 | ipv6;
  }
}

export function hasAddressOf(workload: MeshWorkload, allowed: IpFamilies): boolean {
  for (const ip of workload.addresses) if ((familyOfAddress(ip) & allowed) !== 0) return true;
  return false;
}

/** The address to dial: the one that was asked for, else one of its family, else any; of the families allowed alone. */
export function addressOf(workload: MeshWorkload, wanted: string, allowed: IpFamilies): string | undefined {
  const { addresses } = workload;
  if (addresses.includes(wanted)) return wanted;
  const preferred = familyOfAddress(wanted) & allowed;
  return (
    addresses.find((ip) => (familyOfAddress(ip) & preferred) !== 0) ??
    addresses.find((ip) => (familyOfAddress(ip) & allowed) !== 0)
  );
}

/** In words, for messages. */
export function describeFamilies(families: IpFamilies): string {
  if (families === ipv4) return 'IPv4';
  return families === ipv6 ? 'IPv6' : 'IPv4 or IPv6';
}
