/** Which command an image name stands for: a local node runs programs, it pulls nothing. */
import type { Container } from '../../api/index.ts';

export interface ImageEntry {
  /** A glob over the whole image name, where `*` stands for any text; matched with and without a `:tag`. */
  readonly pattern: string;
  readonly command: readonly string[];
}

export type ImageLookup =
  | { readonly kind: 'command'; readonly command: readonly string[] }
  | { readonly kind: 'unknown'; readonly message: string };

/** Images that have no entrypoint of their own: they run what a container gives as `args`, else a shell. */
const baseImages: readonly string[] = ['busybox', 'alpine', 'debian', 'ubuntu', 'curl'].flatMap((name) => [
  name,
  `*/${name}`,
]);

/**
 * What a container runs. `command` runs as given and the image does not matter; otherwise the first entry whose pattern
 * matches gives the entrypoint, and `args` append to it; a base image has none.
 */
export function findContainerCommand(container: Container, images: readonly ImageEntry[]): ImageLookup {
  const args = container.args ?? [];
  if (container.command && container.command.length > 0)
    return { kind: 'command', command: [...container.command, ...args] };
  const image = container.image ?? '';
  const entry = images.find(({ pattern }) => matchesImage(pattern, image));
  if (entry) return { kind: 'command', command: [...entry.command, ...args] };
  if (baseImages.some((name) => matchesImage(name, image)))
    return { kind: 'command', command: args.length > 0 ? args : ['sh'] };
  return {
    kind: 'unknown',
    message: `No command is known for image "${image}": a local node runs programs of this machine. Give the container a command, or start the mesh with --image '${image}=COMMAND'`,
  };
}

function matchesImage(pattern: string, image: string): boolean {
  const glob = new RegExp(`^${pattern.split('*').map(escapeRegExp).join('.*')}$`);
  return glob.test(image) || glob.test(image.replace(/@sha256:[0-9a-f]+$/, '').replace(/:[\w.-]+$/, ''));
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&');
}
