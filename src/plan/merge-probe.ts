import type { MergeWhenClause, Node } from '@pgsql/types';
import type { ColumnEntry } from '../catalog/snapshot.ts';
import { unsupported } from '../core/errors.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { assignedColumns } from './assignment.ts';
import { mergeActions } from './change-checks.ts';
import type { ChangeQuestion } from './change-question.ts';
import { fragmentExpression, runsAnywhere } from './fragment.ts';
import { storedKey } from './insert-rows.ts';
import type { MotionColumn, SqlPart, SqlTemplate } from './plan.ts';
import type { ConstantPool } from './rewrite.ts';
import { baseTypeName, motionColumn } from './type-name.ts';

/*
 * A MERGE whose source rows may match on any node, and whose INSERT puts rows where ON says nothing of: the nodes are asked first which
 * source rows have a match there. Those go to the nodes of their matches; the others to where they are to be inserted.
 */

/** What a source row without a match becomes: its keys, and whether it is inserted at all. */
export interface Unmatched {
  readonly keys: readonly MotionColumn[];
  /** `… AS pgherd_k0`, over the source. */
  readonly keySql: readonly SqlTemplate[];
  /** `… AS pgherd_i`: `true` or `false`. */
  readonly insertsSql: SqlTemplate;
}

export function unmatchedRows(question: ChangeQuestion, constants: ConstantPool): Unmatched {
  const { model, table } = question;
  const { root } = model;
  const clauses = root.kind === 'merge' ? (root.node.mergeWhenClauses ?? []) : [];
  const own = clauses.flatMap((node) =>
    'MergeWhenClause' in node && isForUnmatched(node.MergeWhenClause) ? [node.MergeWhenClause] : [],
  );
  const conditions = own.map(({ condition }) => (condition ? expression(condition, question, constants) : ['true']));
  const choose = (values: readonly SqlTemplate[], otherwise: string): SqlTemplate => [
    'CASE',
    ...values.flatMap((value, i): SqlTemplate => [' WHEN (', ...conditions[i]!, ') THEN ', ...value]),
    ` ELSE ${otherwise} END`,
  ];
  const keyed = table.distribution.kind === 'distributed' ? table.distribution.keys : [];
  const columns = keyed.map((key) => table.columns.find(({ name }) => name === key.name)!);
  return {
    keys: columns.map((column) => ({
      ...motionColumn(column.name, column),
      ...{ typeName: baseTypeName(column), viaText: true },
    })),
    keySql: columns.map((column, i) => {
      const values = own.map((clause) => keyOf(clause, column, question, constants));
      return ['(', ...choose(values, 'NULL'), `)::text AS pgherd_k${i}`];
    }),
    insertsSql: [
      '(',
      ...choose(
        own.map(({ commandType }) => [String(commandType === 'CMD_INSERT')]),
        'false',
      ),
      ')::text AS pgherd_i',
    ],
  };
}

function isForUnmatched({ matchKind }: MergeWhenClause): boolean {
  return matchKind === 'MERGE_WHEN_NOT_MATCHED_BY_TARGET';
}

/** The key that a clause gives, as it is stored. */
function keyOf(
  clause: MergeWhenClause,
  column: ColumnEntry,
  question: ChangeQuestion,
  constants: ConstantPool,
): SqlTemplate {
  const { table } = question;
  const type = baseTypeName(column);
  if (clause.commandType !== 'CMD_INSERT') return [`NULL::${type}`];
  const [action] = mergeActions([{ MergeWhenClause: clause }]);
  const named = action!.targets.length > 0 ? assignedColumns(action!.targets) : table.columns.map(({ name }) => name);
  const value = action!.values[named.indexOf(column.name)];
  if (value === undefined || 'SetToDefault' in value) {
    const { default: own } = column;
    if (own.kind !== 'none' && own.kind !== 'constant') throw refusal(question, `a default for ${column.name}`);
    return own.kind === 'none' ? [`NULL::${type}`] : [`(${own.expression})::${type}`];
  }
  return stored(['(', ...expression(value, question, constants), `)::${type}`], column);
}

function stored(value: SqlTemplate, column: ColumnEntry): SqlTemplate {
  const mark = '\u0000';
  return storedKey(mark, column)
    .split(mark)
    .flatMap((text, i): SqlPart[] => (i === 0 ? [text] : [...value, text]));
}

/** Evaluated here to place a row, and there to act on it: it must be the same. */
function expression(node: Node, question: ChangeQuestion, constants: ConstantPool): SqlTemplate {
  const { context } = question;
  if (!runsAnywhere(node, context))
    throw refusal(question, 'WHEN NOT MATCHED depending on what may differ, or on a subquery');
  return fragmentExpression(node, { context, constants, column: () => null });
}

function refusal({ target }: ChangeQuestion, what: string) {
  return unsupported('PH002', `MERGE into ${target.name} from rows that are elsewhere, with ${what}`);
}

/** Yields the numbers of source rows (of the rows that are sent along) that have a match. What is to be changed is locked. */
export function probeSql(question: ChangeQuestion, alias: string, condition: SqlTemplate): SqlTemplate {
  const { table, target, model } = question;
  const { root } = model;
  const actions = mergeActions(root.kind === 'merge' ? root.node.mergeWhenClauses : []);
  const changes = actions.some(({ commandType }) => commandType === 'CMD_UPDATE' || commandType === 'CMD_DELETE');
  const name = quoteIdentifier(target.name);
  return [
    `SELECT ${quoteIdentifier(alias)}.pgherd_n FROM ${quoteQualified(table.schema, table.name)} AS ${name} JOIN `,
    { motion: -1 },
    ' ',
    ...condition,
    ...(changes ? [` FOR UPDATE OF ${name}`] : []),
  ];
}
