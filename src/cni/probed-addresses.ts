/** The addresses of pods that the node's probes are let into, by who says that it has them. */
export class ProbedAddresses {
  readonly #claimants = new Map<string, Set<string>>();

  /** Each once, whoever has it. */
  get all(): string[] {
    return [...this.#claimants.keys()];
  }

  /**
   * The pod has these addresses and no others. Two may have one for a while: that of a pod whose sandbox ended is given to
   * another one before the API says so. It stays until neither has it. Returns whether `all` is different.
   */
  claim(uid: string, ips: readonly string[]): boolean {
    const before = this.#claimants.size;
    for (const [ip, claimants] of this.#claimants) {
      if (!ips.includes(ip) && claimants.delete(uid) && claimants.size === 0) this.#claimants.delete(ip);
    }
    const left = this.#claimants.size;
    for (const ip of ips) {
      const claimants = this.#claimants.get(ip) ?? new Set();
      this.#claimants.set(ip, claimants.add(uid));
    }
    return left < before || left < this.#claimants.size;
  }

  clear(): void {
    this.#claimants.clear();
  }
}
