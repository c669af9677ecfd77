/** The packet rules as nft writes them. Run by cni.test.ts. */
import { describeRules } from './cni-rules-cases.ts';

describeRules('nft');
