/** Validation of the Event of events.k8s.io (`pkg/apis/core/validation/events.go`). */
import { invalid, required, type FieldError } from '../field-error.ts';
import type { FieldView } from '../field-view.ts';
import { immutable } from './meta.ts';

const maxNoteLength = 1024;

export function validateEventsEvent(event: FieldView, old: FieldView | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const eventTime = event.at('eventTime');
  // One that came by the core API may lack all of this.
  if (!old && !eventTime.text) errors.push(required(eventTime.path));
  if (eventTime.text) {
    for (const field of ['reportingController', 'reportingInstance', 'action', 'reason'])
      if (!event.at(field).text) errors.push(required(event.at(field).path));
    const type = event.at('type');
    if (type.text !== 'Normal' && type.text !== 'Warning')
      errors.push(invalid(type.path, type.value ?? '', 'has invalid value: '));
  }
  const note = event.at('note');
  if ((note.text?.length ?? 0) > maxNoteLength)
    errors.push(invalid(note.path, '', `can have at most ${maxNoteLength} characters`));
  if (!old) return errors;
  for (const field of ['regarding', 'related', 'reason', 'reportingController', 'eventTime', 'type', 'note'])
    if (eventTime.text) errors.push(...immutable(event.at(field), old.at(field)));
  return errors;
}
