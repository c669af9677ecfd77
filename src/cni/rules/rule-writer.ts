/** Writes the rules of pods into their namespaces: by nft, or by iptables where there is no nft. */
import { readFileSync } from 'node:fs';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import {
  applyIptables,
  applyNft,
  listIptables,
  listNftTable,
  runIptables,
  runNamespaceTool,
  withNetns,
} from '../../net/index.ts';
import {
  hasIptablesRules,
  iptablesRedirectScript,
  iptablesReleaseScript,
  iptablesRemoveCommands,
  missingJumps,
  type Family,
} from './iptables-script.ts';
import { nftRedirectScript, nftReleaseScript, nftRemoveScript, podTable } from './nft-script.ts';
import type { PodRuleSet } from './pod-rule-set.ts';

export type RuleProgram = 'nft' | 'iptables';

export interface RuleWriter {
  readonly program: RuleProgram;
  /** Replaces what is there; live connections, captured or not, go on. May be called again. */
  redirect(netns: number, rules: PodRuleSet): Promise<void>;
  /** From now on new connections go straight; proxied ones go on. */
  release(netns: number, rules: Pick<PodRuleSet, 'mark'>): Promise<void>;
  /** Takes everything away; cuts connections that are still proxied. */
  remove(netns: number): Promise<void>;
  /** What the kernel has of ours, as text that is equal for equal rules; undefined when there is nothing. */
  read(netns: number): Promise<string | undefined>;
  /** Whether a text of `read` has as many rules as it should, where nothing else tells that it is ours alone. */
  isWhole(text: string, rules: PodRuleSet): boolean;
}

/** Throws when neither program is usable, naming both. */
export async function chooseRuleWriter(options: {
  readonly log: Log;
  /** Takes this one, usable or not. */
  readonly program?: RuleProgram;
}): Promise<RuleWriter> {
  const { log, program } = options;
  if (program !== undefined) {
    log.info('packet rules are written by what was asked for', { program });
    return program === 'nft' ? nftWriter() : iptablesWriter(await familiesOfIptables());
  }
  try {
    await runNamespaceTool({ command: ['nft', 'list', 'tables'], code: 'net.nft-failed' });
    log.info('packet rules are written by nft');
    return nftWriter();
  } catch (nftError) {
    try {
      const families = await familiesOfIptables();
      log.warn('packet rules are written by iptables: nft is not usable', { families, error: messageOf(nftError) });
      return iptablesWriter(families);
    } catch (error) {
      throw new Error(`neither nft nor iptables is usable: ${messageOf(nftError)}; ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
}

function nftWriter(): RuleWriter {
  return {
    program: 'nft',
    redirect: (netns, rules) => applyNft({ netns, script: nftRedirectScript(rules) }),
    release: (netns, rules) => applyNft({ netns, script: nftReleaseScript(rules) }),
    remove: (netns) => applyNft({ netns, script: nftRemoveScript() }),
    read: (netns) => listNftTable('inet', podTable, { netns }),
    isWhole: () => true,
  };
}

async function familiesOfIptables(): Promise<readonly Family[]> {
  await listIptables({ family: 'IPv4' });
  try {
    await listIptables({ family: 'IPv6' });
    return ['IPv4', 'IPv6'];
  } catch {
    return ['IPv4'];
  }
}

function iptablesWriter(families: readonly Family[]): RuleWriter {
  const write = async (
    netns: number,
    script: (family: Family, missing: ReadonlySet<string>) => string,
  ): Promise<void> => {
    for (const family of families) {
      const missing = missingJumps(await listIptables({ family, netns }));
      await applyIptables({ family, netns, script: script(family, missing) });
    }
  };
  return {
    program: 'iptables',
    async redirect(netns, rules) {
      // What is left alone in one family would be open in that.
      if (!families.includes('IPv6') && hasIpv6(netns))
        throw new AmbitError('Cannot capture pod: it has IPv6 addresses, and ip6tables is not usable here', {
          code: 'cni.no-ip6tables',
          blame: 'internal',
        });
      await write(netns, (family, missing) => iptablesRedirectScript(rules, family, missing));
    },
    release: (netns, rules) => write(netns, (_family, missing) => iptablesReleaseScript(rules, missing)),
    async remove(netns) {
      for (const family of families) {
        if (!hasIptablesRules(await listIptables({ family, netns }))) continue;
        for (const args of iptablesRemoveCommands()) await runIptables({ family, netns, args }).catch(() => {});
        if (hasIptablesRules(await listIptables({ family, netns })))
          throw new Error('Cannot remove the rules of a pod: some are still there');
      }
    },
    async read(netns) {
      const texts: string[] = [];
      for (const family of families) texts.push(await listIptables({ family, netns }));
      const text = texts.join('\n');
      return hasIptablesRules(text) ? text : undefined;
    },
    isWhole(text, rules) {
      const all = families.map((family) => iptablesRedirectScript(rules, family, missingJumps('')));
      return ruleCount(text) === all.reduce((sum, script) => sum + ruleCount(script), 0);
    },
  };
}

/** Whether others than neighbours on the link can reach the namespace by IPv6. */
function hasIpv6(netns: number): boolean {
  const globalScope = '00';
  const text = withNetns(netns, () => {
    try {
      // thread-self, not self: the thread moves, the process does not.
      return readFileSync('/proc/thread-self/net/if_inet6', 'utf8');
    } catch {
      return '';
    }
  });
  // Address, number of the link, length of the prefix, scope, flags, name.
  return text.split('\n').some((line) => line.split(/\s+/)[3] === globalScope);
}

/** Rules in our chains, and jumps to them. */
function ruleCount(text: string): number {
  return text.split('\n').filter((line) => /^-A .*ISTIO_/.test(line)).length;
}
