/** The nodes of a mesh by name, and what they say of their pods. */

export function nodeNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `node-${index + 1}`);
}

/** What a node runtime says of its pods on `GET /pods`. */
export interface NodePod {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly containers: readonly {
    readonly name: string;
    readonly pid?: number;
    readonly ready: boolean;
    readonly startedAt?: string;
  }[];
}
