/** Attaches a client to a container's output from now on, until the container ends or the client goes. */
import type { OutputHub } from './output-hub.ts';
import { exitStatus, internalStatus } from './remote-status.ts';
import type { RemoteSession } from './remote-session.ts';

/** What a client may be behind. The container never waits for it. */
const maxBehindBytes = 8 * 1024 * 1024;

export function attachToOutput(outputs: OutputHub, session: RemoteSession): void {
  const stop = outputs.listen(
    (name, chunk) => {
      const target = session[name];
      if (!target || target.destroyed || target.writableEnded) return;
      target.write(chunk);
      if (target.writableLength <= maxBehindBytes) return;
      stop();
      session.finish(internalStatus('the client reads more slowly than the container writes'));
    },
    () => {
      stop();
      session.finish(exitStatus(0));
    },
  );
  // A container's input is empty: what a client sends goes nowhere.
  session.stdin?.resume();
  if (session.gone.aborted) stop();
  else session.gone.addEventListener('abort', stop, { once: true });
}
