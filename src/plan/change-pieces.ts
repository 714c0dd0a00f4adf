import { positionOf, type SqlSource, splice } from '../sql/source.ts';
import type { PlanContext } from './context.ts';
import { type Extent, type PlanEdit, parameterExtent } from './edits.ts';
import { nodeObstacle } from './functions.ts';
import type { Block, Model, RelationItem } from './model.ts';
import type { SqlTemplate } from './plan.ts';
import { type ConstantPool, parameterParts, type Replacement, rewriteStatement, type SourceEdit } from './rewrite.ts';
import { placeOnNode } from './single-shard.ts';

export function isInPart(source: SqlSource, location: number | undefined, { start, end }: Extent): boolean {
  if (!isKnown(source, location)) return false;
  const position = positionOf(source, location);
  return position >= start && position < end;
}

/** The parser gives no location to some of what it adds itself. */
function isKnown(source: SqlSource, location: number | undefined): boolean {
  return (location ?? 0) >= source.offsetBytes;
}

/** What a block holds within a part of the statement's text; also calls, casts and operators whose place is not known. */
export function partOfBlock(block: Block, extent: Extent): Block {
  const { source } = block;
  const within = <T extends { location?: number }>(nodes: readonly T[]) =>
    nodes.filter(({ location }) => !isKnown(source, location) || isInPart(source, location, extent));
  return {
    ...block,
    columnRefs: block.columnRefs.filter(({ location }) => isInPart(source, location, extent)),
    functions: within(block.functions),
    sessionValues: within(block.sessionValues),
    casts: within(block.casts),
    operators: within(block.operators),
  };
}

export function nodePartObstacle(parts: readonly Block[], context: PlanContext): string | null {
  return nodeObstacle(parts, context);
}

export interface Piece {
  readonly model: Model;
  readonly context: PlanContext;
  readonly constants: ConstantPool;
  readonly extent: Extent;
  readonly edits: readonly PlanEdit[];
  readonly besides?: readonly SourceEdit[];
  replace?(item: RelationItem): Replacement | null;
}

/** A part of the statement's text as nodes run it. */
export function pieceOf({ model, context, constants, extent, edits, besides = [], replace }: Piece): SqlTemplate {
  const { source } = model;
  const cuts: PlanEdit[] = [
    { start: 0, end: extent.start, parts: [] },
    { start: extent.end, end: source.bytes.length, parts: [] },
  ];
  const all = [...besides, ...[...edits, ...cuts].map((edit): SourceEdit => ({ source, edit }))];
  const place = replace ?? ((item: RelationItem) => placeOnNode(item, null, context));
  return rewriteStatement({ model, context, replace: place, constants, edits: all, within: extent });
}

/** The statement as the client wrote it, its parameters as holes. */
export function withoutChanges({ source, blocks, asWritten }: Model, context: PlanContext): SqlTemplate {
  if (asWritten) return asWritten;
  const own = blocks.filter((block) => block.source === source);
  const edits = own.flatMap((block) =>
    block.parameters.map(
      ({ number = 0, location }): PlanEdit => ({
        ...parameterExtent(source, location),
        parts: parameterParts(number, context),
      }),
    ),
  );
  return splice(source, edits);
}
