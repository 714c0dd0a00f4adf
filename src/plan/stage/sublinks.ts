import type { Node, SubLink } from '@pgsql/types';
import { fingerprint, nameParts, walk } from '../../sql/walk.ts';
import { isAligned } from '../alignment.ts';
import { isAggregate } from '../functions.ts';
import { listLocus } from '../locus.ts';
import { type Block, type Child, isInside, type SelectBlock } from '../model.ts';
import { isUncorrelated } from '../sublink.ts';
import { decorrelate } from './decorrelate.ts';
import { moveInnerRows } from './inner-rows.ts';
import { type Destination, outputsOf, selectStaged, stageQuery, stageValue } from './query.ts';
import type { StageQuestion, Stepped } from './question.ts';
import { sizeOf } from './size.ts';
import { changeTree, integerConstant, selectOf, target } from './tree.ts';

type SublinkChild = Extract<Child, { via: 'sublink' }>;

/** Makes the next subquery in an expression something that can be answered where the rows around it are. */
export function stageSublink(question: StageQuestion): Stepped {
  for (const { child, owner } of sublinks(question.model.root)) {
    if (!child.link || isAnswerable(child.block, question)) continue;
    return stageOne(child, child.link, owner, question);
  }
  return null;
}

/** Outermost first, those in FROM's subqueries included. */
function sublinks(block: Block): { child: SublinkChild; owner: Block }[] {
  return block.children.flatMap((child) =>
    child.via === 'sublink' ? [{ child, owner: block }, ...sublinks(child.block)] : sublinks(child.block),
  );
}

/** The rows that it reads are where those around it are, or there is a copy of them. */
function isAnswerable(block: Block, { model, facts, context }: StageQuestion): boolean {
  const { root } = model;
  const locus = root.kind === 'select' ? listLocus(root.from, { model, facts, context }) : null;
  const reads = model.relations.filter((item) => isInside(item.block, block));
  if (locus?.kind !== 'hashed') return reads.every(({ role }) => role === 'local' || role === 'reference');
  return reads.every(
    (item) =>
      item.role === 'reference' ||
      locus.members.some((member) => isAligned(item, member, facts.get(item) ?? [], context)),
  );
}

function stageOne(child: SublinkChild, link: SubLink, owner: Block, question: StageQuestion): Stepped {
  const { block } = child;
  const { tree, staging, planQuery } = question;
  if (block.kind !== 'select' && block.kind !== 'set operation') return { reason: 'an odd subquery' };
  if (hasTwin(link, owner)) return { reason: 'a subquery that is grouped or sorted by' };
  if (mayFail(block) && isGuarded(link, owner)) return { reason: 'a subquery that CASE may leave out' };
  const query: Node = { SelectStmt: block.node };
  if (!isUncorrelated(block)) return stageCorrelated(child, link, owner, question);
  if (link.subLinkType === 'EXPR_SUBLINK' && yieldsOneRow(block, question)) {
    const value = stageValue(query, staging, planQuery);
    if ('reason' in value) return value;
    return { tree: changeTree(tree, { nodes: new Map([[link, { ParamRef: { number: value.number } }]]) }) };
  }
  if (link.subLinkType === 'ARRAY_SUBLINK') return { reason: 'ARRAY of a subquery' };
  const isExists = link.subLinkType === 'EXISTS_SUBLINK';
  const whole = isExists ? firstRow(query) : query;
  const outputs = outputsOf(whole, staging.context);
  if ('reason' in outputs) return outputs;
  const names = outputs.map(({ name }) => name);
  const { rows } = sizeOf(whole, staging.context);
  const label = `${onNodes(question) ? 'Broadcast' : 'Gather'} the rows of a subquery`;
  const destination: Destination = { kind: onNodes(question) ? 'broadcast' : 'coordinator' };
  const once = link.subLinkType === 'ANY_SUBLINK';
  const staged = stageQuery(whole, names, destination, { staging, label, rows, planQuery, once });
  if ('reason' in staged) return staged;
  const subselect = selectStaged(staged, staging.newName());
  return { tree: changeTree(tree, { nodes: new Map([[link, { SubLink: { ...link, subselect } }]]) }) };
}

/** GROUP BY and DISTINCT know the select list's expressions by their being alike. */
function hasTwin(link: SubLink, owner: Block): boolean {
  if (owner.kind !== 'select' || !(owner.node.groupClause ?? owner.node.distinctClause)) return false;
  const own = fingerprint({ SubLink: link });
  return owner.children.some(
    (child) =>
      child.via === 'sublink' && child.link && child.link !== link && fingerprint({ SubLink: child.link }) === own,
  );
}

/** CASE and COALESCE promise not to evaluate what they don't need, errors included. */
function isGuarded(link: SubLink, owner: Block): boolean {
  let found = false;
  walk([owner.node], (kind, fields: object) => {
    if (kind === 'CaseExpr' || kind === 'CoalesceExpr') {
      walk([fields], (_, inner: object) => {
        found ||= inner === link;
        return true;
      });
    }
    return true;
  });
  return found;
}

/** It divides, or reads values as of another type. */
export function mayFail(block: Block): boolean {
  let found = false;
  walk([block.node], (kind, fields: { name?: Node[]; arg?: Node }) => {
    if (kind === 'A_Expr') found ||= ['/', '%'].includes(nameParts(fields.name).at(-1) ?? '');
    if (kind === 'TypeCast') found ||= !(fields.arg && 'A_Const' in fields.arg);
    return true;
  });
  return found;
}

function onNodes({ model, facts, context }: StageQuestion): boolean {
  return model.root.kind === 'select' && listLocus(model.root.from, { model, facts, context }).kind === 'hashed';
}

function firstRow(subquery: Node): Node {
  return selectOf({
    targetList: [target('found', integerConstant(1))],
    fromClause: [{ RangeSubselect: { subquery: subquery as never, alias: { aliasname: 'pgherd_any' } } }],
    limitCount: integerConstant(1),
    limitOption: 'LIMIT_OPTION_COUNT',
  });
}

/** Aggregates over all its rows: one row, whatever there is. */
function yieldsOneRow(block: Block, { context }: StageQuestion): boolean {
  if (block.kind !== 'select') return false;
  const { groupClause, distinctClause, limitOffset, limitCount, targetList = [], havingClause } = block.node;
  if (groupClause ?? distinctClause ?? limitOffset ?? limitCount ?? havingClause) return false;
  return targetList.length === 1 && block.functions.some((call) => isAggregate(call, context));
}

/** A subquery that looks at the rows around it: as a join with its groups, or its own rows are brought to those. */
function stageCorrelated(child: SublinkChild, link: SubLink, owner: Block, question: StageQuestion): Stepped {
  const { block } = child;
  if (block.kind !== 'select') return { reason: 'a correlated set operation' };
  if (!onNodes(question)) return { reason: 'a correlated subquery over rows of the coordinator' };
  const joined = owner.kind === 'select' && decorrelate(block, link, owner, question);
  if (joined) return joined;
  return moveInward(block, link, question);
}

/** The inner rows are brought to those around them. */
function moveInward(block: SelectBlock, link: SubLink, question: StageQuestion): Stepped {
  const { root } = question.model;
  const around = root.kind === 'select' ? listLocus(root.from, question) : null;
  if (around?.kind !== 'hashed') return { reason: 'rows that are elsewhere' };
  const isSemi = link.subLinkType === 'EXISTS_SUBLINK' || link.subLinkType === 'ANY_SUBLINK';
  return moveInnerRows(block, around, isSemi && countsOnce(block, question), question);
}

/** Whether there is a row matters, not how many: no grouping, window or limit that would count them. */
function countsOnce(block: SelectBlock, { context }: StageQuestion): boolean {
  const { groupClause, havingClause, distinctClause, limitCount, limitOffset } = block.node;
  const counted = groupClause ?? havingClause ?? distinctClause ?? limitCount ?? limitOffset;
  return !counted && !block.functions.some((call) => call.over !== undefined || isAggregate(call, context));
}
