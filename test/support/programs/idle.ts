/** Does nothing, for ever: a pod to run commands in. */
setInterval(() => undefined, 60_000);
