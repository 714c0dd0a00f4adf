import { innerQueries, simplerTrees, type Tree } from './tree.ts';
import type { Unit } from './units.ts';

/** Answers whether a unit still shows the same fault. */
export type Reproduces = (unit: Unit) => Promise<boolean>;

/** The smallest unit found that still fails: takes the first simpler one that does, and starts again from it. */
export async function shrinkUnit(unit: Unit, reproduces: Reproduces, outOfTime: () => boolean): Promise<Unit> {
  for (;;) {
    const simpler = await firstThatFails(simplerUnits(unit), reproduces, outOfTime);
    if (simpler === undefined) return unit;
    unit = simpler;
  }
}

/** The fewest items, in their order, of which `reproduces` still holds: halves first, then one by one. */
export async function shrinkList<T>(
  items: readonly T[],
  reproduces: (items: readonly T[]) => Promise<boolean>,
  outOfTime: () => boolean,
): Promise<readonly T[]> {
  for (let size = Math.ceil(items.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < items.length && !outOfTime(); ) {
      const fewer = [...items.slice(0, at), ...items.slice(at + size)];
      if (await reproduces(fewer)) items = fewer;
      else at += size;
    }
  }
  return items;
}

async function firstThatFails(
  units: Iterable<Unit>,
  reproduces: Reproduces,
  outOfTime: () => boolean,
): Promise<Unit | undefined> {
  for (const unit of units) {
    if (outOfTime()) return undefined;
    if (await reproduces(unit)) return unit;
  }
  return undefined;
}

function* simplerUnits(unit: Unit): Generator<Unit> {
  const { statements } = unit;
  if (statements.length > 1)
    for (let index = statements.length - 1; index >= 0; index--)
      yield { ...unit, statements: statements.filter((_, other) => other !== index) };
  if (unit.rung !== null) yield { ...unit, rung: null };
  if (unit.prepared) yield { ...unit, prepared: false };
  if (unit.protocol === 'extended') yield { ...unit, protocol: 'simple', prepared: false };
  for (const [index, statement] of statements.entries()) {
    const replaced = (tree: Tree): Unit => ({
      ...unit,
      statements: statements.map((other, at) => (at === index ? { ...other, tree } : other)),
    });
    if (statement.kind === 'query') for (const tree of innerQueries(statement.tree)) yield replaced(tree);
    for (const tree of simplerTrees(statement.tree)) yield replaced(tree);
  }
}
