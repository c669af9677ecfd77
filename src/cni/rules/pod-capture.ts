/** The packet rules of one pod: written, compared with what they should be, and repaired when somebody changed them. */
import { addPolicyRouting, nftGeneration, removePolicyRouting } from '../../net/index.ts';
import type { PodRuleSet } from './pod-rule-set.ts';
import type { RuleWriter } from './rule-writer.ts';

/** What `ensure` found and did. */
export type Ensured = 'right' | 'written' | 'repaired';

/** A check in so many thorough ones does not believe the kernel's number. */
const fullEvery = 10;

export class PodCapture {
  readonly #writer: RuleWriter;
  /** `generation` of the namespace's nftables when our rules were last known to be right; `text` of ours as the kernel lists them, once it was needed. */
  #written: { wanted: string; generation: number | undefined; text: string | undefined } | undefined;

  #thoroughChecks = 0;
  #turn: Promise<void> = Promise.resolve();

  constructor(writer: RuleWriter) {
    this.#writer = writer;
  }

  /** Writes the rules, whatever is there. */
  redirect(netns: number, rules: () => PodRuleSet): Promise<void> {
    return this.#inTurn(() => this.#redirect(netns, rules()));
  }

  /**
   * Writes the rules if they are others than before, or if somebody changed them. Costs a system call while nothing changed.
   * `thorough` looks where the kernel has no number for its state, too, and puts the return path back.
   */
  ensure(netns: number, rules: () => PodRuleSet, thorough: boolean): Promise<Ensured> {
    return this.#inTurn(() => this.#ensure(netns, rules(), thorough));
  }

  release(netns: number, rules: Pick<PodRuleSet, 'mark'>): Promise<void> {
    return this.#inTurn(async () => {
      this.#written = undefined;
      await this.#writer.release(netns, rules);
    });
  }

  remove(netns: number): Promise<void> {
    return this.#inTurn(async () => {
      this.#written = undefined;
      await this.#writer.remove(netns);
      removePolicyRouting(netns);
    });
  }

  /** The namespace is gone, or another. */
  forget(): void {
    this.#written = undefined;
  }

  async #redirect(netns: number, rules: PodRuleSet): Promise<void> {
    addPolicyRouting(netns);
    await this.#writer.redirect(netns, rules);
    this.#written = { wanted: JSON.stringify(rules), generation: nftGeneration(netns), text: undefined };
  }

  async #ensure(netns: number, rules: PodRuleSet, thorough: boolean): Promise<Ensured> {
    const written = this.#written;
    if (written?.wanted !== JSON.stringify(rules)) {
      await this.#redirect(netns, rules);
      return 'written';
    }
    if (thorough) addPolicyRouting(netns);
    const generation = nftGeneration(netns);
    // Who changed rules in the moment in which we wrote ours is found out later.
    const isFull = thorough && this.#thoroughChecks++ % fullEvery === fullEvery - 1;
    const isSame = generation === written.generation;
    // It tells nothing of the older iptables.
    const tellsAll = generation !== undefined && this.#writer.program === 'nft' && !isFull;
    if (isSame && (tellsAll || !thorough)) return 'right';
    const found = await this.#writer.read(netns);
    if (written.text !== undefined && found === written.text) {
      // Somebody else's rules.
      written.generation = generation;
      return 'right';
    }
    // The same rules, written again, tell what ours should look like.
    await this.#redirect(netns, rules);
    const text = await this.#writer.read(netns);
    // Somebody may have changed them again meanwhile: such a text is nothing to compare with.
    const isOurs = nftGeneration(netns) === this.#written?.generation && this.#writer.isWhole(text ?? '', rules);
    if (this.#written && isOurs) this.#written.text = text;
    return found === text ? 'right' : 'repaired';
  }

  /** One at a time: what is written last must be what was decided last. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.then(
      () => {},
      () => {},
    );
    return done;
  }
}
