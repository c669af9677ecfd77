/** The filters of a place around one request: in order on the way in, in reverse on the way out, at once unless one of them waits. */
import type { ResponseHead } from '../../http/message.ts';
import { enginePart, type ExceptionOwner } from './exceptions.ts';
import type { HttpFilter, LocalReply } from './filter.ts';
import type { HttpRun } from './http-run.ts';

/** The run, as its chain knows it. */
export interface ChainRun extends HttpRun, ExceptionOwner {
  /** An answer is decided on, or the client is gone: what filters say of the request does not matter any more. */
  readonly isDecided: boolean;
  /** The answer that filters are looking at will not be sent. */
  readonly isGivenUp: boolean;
  /** A filter answers. */
  onFilterReply(reply: LocalReply): void;
  /** All filters let the request go on. */
  onFiltered(): void;
  /** All filters have seen the head of the answer: it may go out. */
  onAnswerFiltered(head: ResponseHead): void;
}

/** From the filter at `start` on. An exception of a filter is its request's end: nobody is let in for it. */
export function filterRequest(filters: readonly HttpFilter[], start: number, run: ChainRun): void {
  for (let i = start; i < filters.length; i++) {
    const filter = filters[i] as HttpFilter;
    let result;
    try {
      result = filter.onRequest?.(run);
    } catch (error) {
      run.onException(error, filter.name);
      return;
    }
    if (result === undefined) continue;
    if (!(result instanceof Promise)) {
      run.onFilterReply(result);
      return;
    }
    result.then(
      (reply) => goOn(filters, i + 1, run, reply),
      (error: unknown) => {
        if (!run.isDecided) run.onException(error, filter.name);
      },
    );
    return;
  }
  run.onFiltered();
}

/** After a filter that waited. */
function goOn(filters: readonly HttpFilter[], next: number, run: ChainRun, reply: LocalReply | undefined): void {
  if (run.isDecided) return;
  try {
    if (reply) run.onFilterReply(reply);
    else filterRequest(filters, next, run);
  } catch (error) {
    run.onException(error);
  }
}

export function filterAnswer(filters: readonly HttpFilter[], head: ResponseHead, run: ChainRun): void {
  for (let i = filters.length - 1; i >= 0; i--) {
    const filter = filters[i] as HttpFilter;
    let result;
    try {
      result = filter.onResponse?.(run, head);
    } catch (error) {
      run.onException(error, filter.name);
      return;
    }
    if (result === undefined) continue;
    void filterRest(filters, i, head, run, result);
    return;
  }
  run.onAnswerFiltered(head);
}

/** The filter at `index` waits for `first`. Never rejects. */
async function filterRest(
  filters: readonly HttpFilter[],
  index: number,
  head: ResponseHead,
  run: ChainRun,
  first: Promise<void>,
): Promise<void> {
  let part = enginePart;
  try {
    for (let i = index; i >= 0; i--) {
      const filter = filters[i] as HttpFilter;
      part = filter.name;
      await (i === index ? first : filter.onResponse?.(run, head));
    }
    part = enginePart;
    if (!run.isGivenUp) run.onAnswerFiltered(head);
  } catch (error) {
    if (!run.isGivenUp) run.onException(error, part);
  }
}

/** Each on its own: what one of them counts does not depend on the others. */
export function finishFilters(filters: readonly HttpFilter[], run: ChainRun): void {
  for (const filter of filters) {
    try {
      filter.onFinish?.(run);
    } catch (error) {
      run.onException(error, filter.name);
    }
  }
}
