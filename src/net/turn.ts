/** The end of a turn of the event loop: one setImmediate for all who have something to flush (performance rule 6). */

export interface TurnEnd {
  onTurnEnd(): void;
}

let due: TurnEnd[] = [];
let spare: TurnEnd[] = [];

/** Calls `task.onTurnEnd()` once, at the end of this turn. The caller does not ask twice in one turn. */
export function atTurnEnd(task: TurnEnd): void {
  if (due.push(task) === 1) setImmediate(runAll);
}

function runAll(): void {
  const running = due;
  due = spare;
  for (const task of running) task.onTurnEnd();
  running.length = 0;
  spare = running;
}
