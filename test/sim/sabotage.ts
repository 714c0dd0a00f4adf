/**
 * Bugs that the simulation plants, to show that it finds such: each is done to what the protocol asks for or is answered. With the first
 * seed whose schedule shows it; `npm run sim` prints them anew.
 */
export const plantedBugs = {
  'decision row skipped': 25,
  'abort not recorded': 7004,
  'fence released early': 2,
  'nodes told before the decision': 19,
  'lost vote taken for a yes': 7,
  'lost decision taken for a no': 427,
  'unanswered question taken for an abort': 59,
  'dead epochs not fenced': 47,
  'living routers taken for dead': 19,
  'abort forgotten while its router lives': 28501,
  'fenced decisions read after the nodes': 4106,
  'untold node taken for told': 25,
  'openings do not wait for untold nodes': 170,
  'openings enter without the fence': 2,
  'one-writer commits do not wait for openings': 111,
  'openings do not look at decision rows': 12,
  'decision rows forgotten without the lock': 9819,
  'routers do not share the fence': 9,
} as const;

export type Bug = keyof typeof plantedBugs;

export const bugs = Object.keys(plantedBugs) as Bug[];
