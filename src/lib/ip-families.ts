/** IP families as a set: bit 1 is IPv4, bit 2 IPv6. */
export type IpFamilies = number;
export const ipv4: IpFamilies = 1;
export const ipv6: IpFamilies = 2;
