/** One line that changes, where there is a terminal; a line per thing otherwise. */
export interface Progress {
  say(what: string): void;
  /** Before something else is written. */
  clear(): void;
}

export function createProgress(prefix: () => string): Progress {
  const stream = process.stderr;
  const started = Date.now();
  let lastMs = 0;
  let lastThing = '';
  return {
    say(what) {
      const thing = what.replace(/\d+ MB/, '');
      const nowMs = Date.now();
      if (stream.isTTY ? nowMs - lastMs < 100 && thing === lastThing : thing === lastThing) return;
      lastMs = nowMs;
      lastThing = thing;
      const line = `[${((nowMs - started) / 1000).toFixed(0)} s] ${prefix()}${what}`.slice(
        0,
        (stream.columns ?? 200) - 1,
      );
      stream.write(stream.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
    },
    clear() {
      if (stream.isTTY) stream.write('\r\x1b[K');
    },
  };
}
