/** What a pod's enrolment works towards, with, and by which clock. */
import type { Pod } from '../api/index.ts';
import type { Log } from '../lib/log.ts';
import type { PodResolver } from '../wire/index.ts';
import type { PodRuleSet } from './rules/pod-rule-set.ts';
import type { RuleWriter } from './rules/rule-writer.ts';

/** `in` the mesh; `out` of it but alive; `gone`, with nothing left to undo inside. */
export type Goal = 'in' | 'out' | 'gone';

export interface EnrolmentTimings {
  /** After the annotation is gone, peers that have not heard yet still get in through 15008. */
  readonly releaseGraceMs: number;
  /** Proxied connections may live this long after un-enrolment. */
  readonly drainDeadlineMs: number;
  /** How often a drain is looked at. */
  readonly drainPollMs: number;
  /** How often an enrolled pod's namespace is compared with the one we know, and its rules with what they should be. */
  readonly resyncMs: number;
  /** How often the kernel is asked whether the rules changed. */
  readonly ruleCheckMs: number;
}

/** Steps and findings that are counted, and told where somebody should know. */
export type EnrolmentStep = 'enrolled' | 'released' | 'failed' | 'rules-repaired';

export interface EnrolmentContext {
  /** Throws `net.netns-absent`. */
  readonly findNetns: (podUid: string, ips: readonly string[]) => string;
  /** Whether a namespace has a network already: before, sockets cannot be bound there as they should be. */
  readonly hasNetwork: (netns: number) => boolean;
  /** What the pod's rules should be now. */
  readonly rules: (pod: Pod) => PodRuleSet;
  /** What ztunnel should know of the pod's resolvers; undefined: nothing. */
  readonly resolver: (pod: Pod) => PodResolver | undefined;
  readonly writer: RuleWriter;
  /** Identity of the agent's own namespace: a pod that shows it is not a pod. */
  readonly homeNetns: string;
  readonly zds: { add(uid: string): Promise<void>; drain(uid: string): Promise<void>; del(uid: string): Promise<void> };
  readonly probes: { set(uid: string, ips: readonly string[]): Promise<void>; remove(uid: string): Promise<void> };
  /** The first rules of a pod are about to go in; not called for one that was captured before. */
  readonly onCapture?: (uid: string, netns: number, ips: readonly string[]) => void;
  readonly annotate: (pod: Pod, value: 'enabled' | 'pending' | undefined) => Promise<void>;
  readonly timings: EnrolmentTimings;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly onStep?: (step: EnrolmentStep, pod: Pod) => void;
}
