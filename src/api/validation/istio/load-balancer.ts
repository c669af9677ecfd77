/** Load balancing: algorithms, slow start. Localities: see `locality.ts`. */
import type { FieldView } from '../../field-view.ts';
import type { Findings } from '../validation.ts';
import { checkLocality } from './locality.ts';
import { checkDuration, checkHeaderName, checkPercent } from './values.ts';

/** Envoy's bound. */
const maxTableSize = 5_000_011;

export function checkLoadBalancer(balancer: FieldView, hasOutlierDetection: boolean, found: Findings): void {
  if (!balancer.exists) return;
  checkConsistentHash(balancer.at('consistentHash'), found);
  const locality = balancer.at('localityLbSetting');
  const zoneAware = balancer.at('zoneAwareLbSetting');
  if (locality.exists && zoneAware.exists)
    found.forbidden(zoneAware, 'may not be set together with `localityLbSetting`');
  checkLocality(locality, hasOutlierDetection, found);
  checkLocality(zoneAware, hasOutlierDetection, found);
  checkWarmup(balancer, found);
}

function checkConsistentHash(hash: FieldView, found: Findings): void {
  if (!hash.exists) return;
  const header = hash.at('httpHeaderName');
  if (header.text !== undefined) checkHeaderName(header, header.text, found);
  const cookie = hash.at('httpCookie');
  if (cookie.exists && !cookie.at('name').text) found.required(cookie.at('name'));
  checkDuration(cookie.at('ttl'), found, 'accept');
  const names = new Set<string>();
  for (const attribute of cookie.at('attributes').items()) {
    const name = attribute.at('name');
    if (!name.text) found.required(name);
    else if (names.has(name.text)) found.duplicate(name);
    names.add(name.text ?? '');
  }
  const older = hash.at('minimumRingSize');
  const other = ['ringHash', 'maglev'].find((field) => hash.at(field).exists);
  if (older.number && other) found.forbidden(older, `may not be set together with \`${other}\``);
  else if (older.exists) found.warn(older, 'is deprecated: use ringHash.minimumRingSize');
  const size = hash.at('maglev').at('tableSize');
  if (size.number !== undefined && !(size.number <= maxTableSize && isPrime(size.number))) {
    found.invalid(size, `must be a prime of at most ${maxTableSize}, like 65537`);
  }
}

function checkWarmup(balancer: FieldView, found: Findings): void {
  const warmup = balancer.at('warmup');
  const older = balancer.at('warmupDurationSecs');
  checkDuration(older, found);
  if (older.exists) found.warn(older, 'is deprecated: use warmup.duration');
  if (warmup.exists || older.exists) {
    const algorithm = balancer.at('simple').text;
    const known = [undefined, 'UNSPECIFIED', 'ROUND_ROBIN', 'LEAST_REQUEST', 'LEAST_CONN'].includes(algorithm);
    if (!known || balancer.at('consistentHash').exists) {
      found.warn(
        warmup.exists ? warmup : older,
        'has no effect: slow start works with ROUND_ROBIN and LEAST_REQUEST alone',
      );
    }
  }
  if (!warmup.exists) return;
  if (!warmup.at('duration').exists) found.required(warmup.at('duration'));
  checkDuration(warmup.at('duration'), found);
  checkPercent(warmup.at('minimumPercent'), found);
  const aggression = warmup.at('aggression');
  if (aggression.number !== undefined && aggression.number < 1)
    found.invalid(aggression, 'must be greater than or equal to 1');
}

function isPrime(value: number): boolean {
  if (!Number.isInteger(value) || value < 2) return false;
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false;
  return true;
}
