/** Memory in which a turn's writes to one socket are gathered, lent from a small pool. */

/** As much as a socket read brings in at once. */
export const stagingBytes: number = 64 * 1024;
const maxSpare = 16;
const spare: Uint8Array[] = [];

export function takeStaging(): Uint8Array {
  return spare.pop() ?? new Uint8Array(stagingBytes);
}

export function returnStaging(memory: Uint8Array): void {
  if (spare.length < maxSpare) spare.push(memory);
}
