/** The packet rules as iptables writes them. Run by cni.test.ts. */
import { describeRules, describeWithoutIp6tables } from './cni-rules-cases.ts';

describeRules('iptables');
describeWithoutIp6tables();
