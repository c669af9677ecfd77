/** Preference of near endpoints: shares, or what stands in for a region. */
import type { FieldView } from '../../field-view.ts';
import type { Findings } from '../validation.ts';

/** Labels that say where an endpoint is, which `failover` decides already. */
const topologyLabels = ['region', 'zone', 'subzone'].map((part) =>
  part === 'subzone' ? 'topology.istio.io/subzone' : `topology.kubernetes.io/${part}`,
);

export function checkLocality(setting: FieldView, hasOutlierDetection: boolean, found: Findings): void {
  if (!setting.exists) return;
  const [distribute, failover, priority] = ['distribute', 'failover', 'failoverPriority'].map((field) =>
    setting.at(field),
  );
  if (!distribute || !failover || !priority) return;
  const isSet = (view: FieldView): boolean => view.items().length > 0;
  for (const other of [failover, priority]) {
    if (isSet(distribute) && isSet(other)) found.forbidden(other, 'may not be set together with `distribute`');
  }
  if (isSet(failover)) {
    for (const item of priority.items()) {
      const [key = ''] = (item.text ?? '').split('=');
      if (topologyLabels.includes(key)) found.forbidden(item, 'decides what `failover` decides, too: keep one of them');
    }
  }
  for (const item of priority.items())
    if ((item.text ?? '').split('=')[0] === '') found.invalid(item, 'must be a label, as key or key=value');
  checkDistribution(distribute, found);
  checkFailover(failover, found);
  const active = setting.at('enabled').boolean !== false && (isSet(failover) || isSet(priority));
  if (active && !hasOutlierDetection) {
    found.warn(setting, 'fails over only where outlierDetection is set, too: without it, no endpoint counts as failed');
  }
}

function checkDistribution(distribute: FieldView, found: Findings): void {
  const items = distribute.items();
  checkLocalities(
    items.map((item) => item.at('from')),
    found,
  );
  for (const item of items) {
    const shares = item.at('to').entries();
    let total = 0;
    for (const [, weight] of shares) {
      if (weight.number !== undefined && !(weight.number >= 1 && weight.number <= 100))
        found.invalid(weight, 'must be between 1 and 100');
      total += weight.number ?? 0;
    }
    if (total !== 100) found.invalid({ ...item.at('to'), value: total }, 'the shares must sum up to 100');
    checkLocalities(
      shares.map(([locality, weight]) => ({ ...weight, value: locality, text: locality })),
      found,
    );
  }
}

function checkFailover(failover: FieldView, found: Findings): void {
  const seen = new Set<string>();
  for (const item of failover.items()) {
    const [from, to] = [item.at('from'), item.at('to')];
    for (const region of [from, to]) {
      if (!region.text) found.required(region, 'name a region');
      else if (/[*/]/.test(region.text)) found.invalid(region, "must be the name of a region, without '/' and '*'");
    }
    if (from.text && from.text === to.text) found.invalid(to, 'must be another region than `from`');
    if (from.text && seen.has(from.text)) found.duplicate(from);
    seen.add(from.text ?? '');
  }
}

/** `region/zone/subzone`, from the left, `*` as the last part alone; none within another. */
function checkLocalities(localities: readonly FieldView[], found: Findings): void {
  const before: { readonly text: string; readonly parts: readonly string[] }[] = [];
  for (const view of localities) {
    const parts = (view.text ?? '').split('/');
    const starred = parts.findIndex((part) => part.includes('*'));
    if (view.text === undefined || parts.includes('')) {
      found.invalid(view, 'must be region, region/zone or region/zone/subzone, with no part empty');
    } else if (parts.length > 3) found.invalid(view, 'must have at most three parts: region/zone/subzone');
    else if (starred >= 0 && (starred < parts.length - 1 || parts[starred] !== '*')) {
      found.invalid(view, "may have a '*' as its last part alone");
    } else {
      const own = parts.filter((part) => part !== '*');
      const other = before.find((each) => isWithin(each.parts, own) || isWithin(own, each.parts));
      if (other) found.invalid(view, `overlaps with ${JSON.stringify(other.text)}`);
      before.push({ text: view.text, parts: own });
    }
  }
}

function isWithin(outer: readonly string[], inner: readonly string[]): boolean {
  return outer.every((part, i) => inner[i] === part);
}
