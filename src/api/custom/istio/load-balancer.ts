/** How an endpoint of a host is chosen. */
import { flag, list, mapOf, oneOf, record, text, type JsonSchema } from '../../schema/schema.ts';
import { about, atMostOne, double, duration, nullable, percent, unsigned } from './field.ts';

const size: JsonSchema = { type: 'integer', minimum: 0 };

const consistentHash: JsonSchema = {
  ...record({
    httpHeaderName: about('Hash of this header.', text),
    httpCookie: about(
      'Hash of a cookie.',
      record(
        {
          name: about('Name of the cookie.', text),
          path: about('Path of a cookie that the proxy makes.', text),
          ttl: about('Lifetime of a cookie that the proxy makes where there is none; 0s for a session.', text),
          attributes: about(
            'Further attributes of a cookie that the proxy makes.',
            list(
              record(
                { name: about('Name of the attribute.', text), value: about('Its value, if it has one.', text) },
                'name',
              ),
            ),
          ),
        },
        'name',
      ),
    ),
    useSourceIp: about("Hash of the client's address.", flag),
    httpQueryParameterName: about('Hash of this query parameter.', text),
    ringHash: about(
      'By a ring of virtual nodes.',
      record({ minimumRingSize: about('Virtual nodes at least; 1024 if nothing is said.', size) }),
    ),
    maglev: about(
      'By a Maglev table.',
      record({ tableSize: about('Entries of the table, a prime; 65537 if nothing is said.', size) }),
    ),
    minimumRingSize: about('Older spelling of ringHash.minimumRingSize.', size),
  }),
  allOf: [
    atMostOne('httpHeaderName', 'httpCookie', 'useSourceIp', 'httpQueryParameterName'),
    atMostOne('ringHash', 'maglev'),
  ],
};

const failover = about(
  'Where to go when a region has no healthy endpoint.',
  list(record({ from: about('The region without.', text), to: about('The region instead.', text) })),
);
const failoverPriority = about(
  'Labels, as key or key=value, that make endpoints nearer the more of them are equal.',
  list(text),
);
const enabled = about('Whether it is in force.', nullable(flag));

const localityLbSetting = record({
  distribute: about(
    'Shares of the traffic by where it comes from.',
    list(
      record({
        from: about('Where it comes from, as region/zone/subzone; * at the end for the rest.', text),
        to: about('Shares by locality, 100 together.', mapOf(unsigned)),
      }),
    ),
  ),
  failover,
  failoverPriority,
  enabled,
});

const zoneAwareLbSetting = record({
  enabled,
  minClusterSize: about('Endpoints below which zones do not matter.', {
    type: 'integer',
    minimum: 1,
    maximum: 4_294_967_295,
    nullable: true,
  }),
  failover,
  failoverPriority,
});

const warmup = record(
  {
    duration: about('For how long an endpoint gets less than its share.', duration),
    minimumPercent: about('Of its share, at the start; 10 if nothing is said.', percent),
    aggression: about('Above 1, the share grows faster at first.', nullable({ ...double, minimum: 0 })),
  },
  'duration',
);

export const loadBalancer: JsonSchema = {
  ...record({
    simple: about(
      'The algorithm; LEAST_REQUEST if nothing is said. LEAST_CONN is an older name of it.',
      oneOf('UNSPECIFIED', 'LEAST_CONN', 'RANDOM', 'PASSTHROUGH', 'ROUND_ROBIN', 'LEAST_REQUEST'),
    ),
    consistentHash: about('The same endpoint for the same value of something in the request.', consistentHash),
    localityLbSetting: about('Preference of near endpoints.', localityLbSetting),
    zoneAwareLbSetting: about(
      'Preference of endpoints of the same zone, as far as they have room.',
      zoneAwareLbSetting,
    ),
    warmup: about('Slow start of new endpoints.', warmup),
    warmupDurationSecs: about('Older spelling of warmup.duration.', duration),
  }),
  ...atMostOne('simple', 'consistentHash'),
};
