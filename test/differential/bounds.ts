import { limits } from '../../src/core/limits.ts';

/**
 * The tables are small, and so are the motions over them. With the router's bounds made smaller still (it runs in this process), rows travel
 * as if there were many.
 */
const bounds: Readonly<Record<string, Partial<Record<keyof typeof limits, number>>>> = {
  'as they are': {},
  'nothing inline': { maxInlineMotionBytes: 200, maxInlineLookupBytes: 100, maxInlineStageBytes: 100 },
};

/** Which ones follows from the seed; said by name. */
export function setBounds(seed: number): string {
  const names = Object.keys(bounds);
  const name = names[seed % names.length]!;
  Object.assign(limits, bounds[name]);
  return name;
}
