/** The status that all of Istio's kinds share. */
import { list, oneOf, openRecord, record, text, type JsonSchema } from '../../schema/schema.ts';
import { about } from './field.ts';

const timestamp: JsonSchema = { type: 'string', format: 'date-time' };

/** A protobuf int64, which JSON may hold as a number or as text. */
const generation: JsonSchema = {
  anyOf: [{ type: 'integer' }, { type: 'string' }],
  'x-kubernetes-int-or-string': true,
};

export const status: JsonSchema = about(
  'What the control plane and the data plane say of the object.',
  openRecord({
    conditions: about(
      'One entry for each aspect that is reported.',
      list(
        record({
          type: about('Name of the aspect.', text),
          status: about('True, False or Unknown.', text),
          reason: about('Why, in one word.', text),
          message: about('Why, for people.', text),
          observedGeneration: about('Generation of the object that the condition speaks of.', generation),
          lastTransitionTime: about('When status last changed.', timestamp),
          lastProbeTime: about('When the aspect was last looked at.', timestamp),
        }),
      ),
    ),
    observedGeneration: about('Generation of the object that the status as a whole speaks of.', generation),
    validationMessages: about(
      'What the analysis of the configuration found.',
      list(
        record({
          type: about(
            'Which finding it is.',
            record({ name: about('In words.', text), code: about('As IST0000.', text) }),
          ),
          level: about('How bad it is.', oneOf('UNKNOWN', 'ERROR', 'WARNING', 'INFO')),
          documentationUrl: about('Where to read more.', text),
        }),
      ),
    ),
  }),
);
