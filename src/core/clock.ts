/** Time, handed to whatever waits or dates something, so that a simulation can hand in its own. */
export interface Clock {
  /** Milliseconds since 1970. */
  nowMs(): number;
  /** Calls once when the time has passed. Gives what stops it. */
  after(waitMs: number, run: () => void): () => void;
  /** Calls again and again, as long as something else keeps the process alive. Gives what stops it. */
  every(intervalMs: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  after(waitMs, run) {
    const timer = setTimeout(run, waitMs);
    return () => clearTimeout(timer);
  },
  every(intervalMs, run) {
    const timer = setInterval(run, intervalMs).unref();
    return () => clearInterval(timer);
  },
};

export function pause(clock: Clock, waitMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(waitMs, resolve);
  });
}
