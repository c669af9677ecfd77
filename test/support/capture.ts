/** What the link of a node carried while a test looked. */
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { programs, type TestMesh } from './mesh.ts';

export interface Segment {
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  readonly payload: Buffer;
}

/** Captures a node's link while `work` runs. */
export async function captureLink(mesh: TestMesh, node: string, work: () => Promise<void>): Promise<Segment[]> {
  const child = mesh.startOnNode(node, [process.execPath, join(programs, 'capture.ts'), 'eth0']);
  const segments: Segment[] = [];
  let complaint = '';
  child.stderr?.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  try {
    await new Promise<void>((resolve, reject) => {
      child.on('close', () => reject(new Error(`The capture did not start: ${complaint}`)));
      if (!child.stdout) return reject(new Error('No output'));
      createInterface({ input: child.stdout }).on('line', (line) => {
        const found = JSON.parse(line) as { ready?: boolean } & Omit<Segment, 'payload'> & { payload: string };
        if (found.ready) return resolve();
        segments.push({ ...found, payload: Buffer.from(found.payload, 'base64') });
      });
    });
    await work();
  } finally {
    // It prints what it has not read yet, and ends.
    child.kill('SIGTERM');
    await ended;
  }
  return segments;
}

/** Whether any segment carries the text. */
export function carries(segments: readonly Segment[], text: string): boolean {
  return segments.some((segment) => segment.payload.includes(text));
}
