/** Attaches a client to a container's input, and to its output from now on, until the container ends or the client goes. */
import type { ContainerInput } from './container-input.ts';
import type { OutputHub } from './output-hub.ts';
import { exitStatus, internalStatus } from './remote-status.ts';
import type { RemoteSession } from './remote-session.ts';

/** What a client may be behind. The container never waits for it. */
const maxBehindBytes = 8 * 1024 * 1024;

export interface AttachTarget {
  readonly outputs: OutputHub;
  /** Absent: the container's input is empty, and what a client sends goes nowhere. */
  readonly input?: ContainerInput;
}

export function attach({ outputs, input }: AttachTarget, session: RemoteSession): void {
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
  const { stdin } = session;
  if (input && stdin) {
    input.feed(stdin);
    // Where the container goes on reading, a client that has nothing more to say is done.
    if (!input.isOnce) {
      stdin.on('end', () => {
        stop();
        session.finish(exitStatus(0));
      });
    }
  } else stdin?.resume();
  if (input) session.onResize((size) => input.resize(size));
  if (session.gone.aborted) stop();
  else session.gone.addEventListener('abort', stop, { once: true });
}
