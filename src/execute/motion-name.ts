/** What the rows of a motion are called in statements. */
export function motionName(index: number): string {
  return `pgherd_m${index}`;
}
