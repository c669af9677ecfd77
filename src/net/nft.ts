/** Packet rules through the `nft` program: one atomic transaction a call, in any network namespace. */
import { AmbitError } from '../lib/errors.ts';
import { runNamespaceTool, type NamespaceOptions } from './namespace-tool.ts';

export type NftOptions = NamespaceOptions;

export interface NftApplyOptions extends NftOptions {
  /** Input of `nft -f -`; all of it takes effect or nothing. */
  readonly script: string;
}

/** Applies a script. Throws `net.nft-failed` with nft's own words. */
export async function applyNft(options: NftApplyOptions): Promise<void> {
  const { script, ...where } = options;
  await runNamespaceTool({ ...where, command: ['nft', '-f', '-'], input: script, code: 'net.nft-failed' });
}

/** `nft list table FAMILY NAME`, or undefined when there is no such table. */
export async function listNftTable(
  family: string,
  name: string,
  options: NftOptions = {},
): Promise<string | undefined> {
  try {
    const command = ['nft', 'list', 'table', family, name] as const;
    return await runNamespaceTool({ ...options, command: [...command], code: 'net.nft-failed' });
  } catch (error) {
    if (
      error instanceof AmbitError &&
      error.message.includes('No such file or directory') &&
      !error.message.includes('nsenter')
    ) {
      return undefined;
    }
    throw error;
  }
}
