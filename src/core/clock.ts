/** Time as a parameter, so that recovery, failover and timeouts can be simulated. Milliseconds. */
export interface Clock {
  nowMs(): number;
}

export const systemClock: Clock = { nowMs: () => Date.now() };
