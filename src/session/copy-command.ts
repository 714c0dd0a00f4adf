import type { CopyStmt, Node } from '@pgsql/types';
import { type DistributedTable, resolveRelation } from '../catalog/snapshot.ts';
import type { TriggerFiring } from '../catalog/statement-trigger.ts';
import { assert } from '../core/assert.ts';
import { unsupported } from '../core/errors.ts';
import type { ClientOutput } from '../execute/client-output.ts';
import { copyFromClient } from '../execute/copy-in.ts';
import { copyInOptionsSql, copyOutOptionsSql, readCopyOptions, stringsOf } from '../execute/copy-options.ts';
import { copyOut } from '../execute/copy-out.ts';
import { type CopyTarget, copyColumns } from '../execute/copy-target.ts';
import { copyWhereSql } from '../execute/copy-where.ts';
import type { TriggerFirings } from '../plan/plan.ts';
import { encodeNoticeResponse } from '../wire/backend.ts';
import { executionContext, runLocal, runPlanned, type StatementRun } from './run-statement.ts';
import type { SessionState } from './session-state.ts';
import { withStatementTriggers } from './statement-triggers.ts';

/** COPY: into or out of distributed tables the rows stream through the router; of all else it is the coordinator's. */
export async function runCopy(session: SessionState, run: StatementRun, output: ClientOutput): Promise<void> {
  const copy = copyStatement(run.statement.node);
  if (copy.query !== undefined) return runPlanned(session, run, output);
  const table = await distributedTarget(session, copy);
  // The coordinator has a whole copy of a reference table.
  const isLocal = table === null || (table.distribution.kind === 'reference' && !copy.is_from);
  if (isLocal) return runLocal(session, run, output);
  if (copy.filename !== undefined) {
    throw unsupported('PH002', `COPY of distributed table "${table.name}" with a file or program on the server`, {
      hint: 'Use COPY … STDIN or STDOUT; psql has \\copy.',
    });
  }
  if (copy.is_from) return runCopyIn(session, copy, table, output);
  return runCopyOut(session, copy, table, output);
}

function copyStatement(node: Node): CopyStmt {
  assert('CopyStmt' in node, 'a COPY statement');
  return node.CopyStmt;
}

async function distributedTarget(session: SessionState, { relation }: CopyStmt): Promise<DistributedTable | null> {
  assert(relation?.relname !== undefined, 'COPY names a relation');
  const { schemaname, relname } = relation;
  if (schemaname === undefined && session.temporaryNames.has(relname)) return null;
  const found = resolveRelation(session.catalog, schemaname, relname, await session.searchPath());
  return found.kind === 'relation' ? found.relation.distributed : null;
}

async function runCopyOut(
  session: SessionState,
  copy: CopyStmt,
  table: DistributedTable,
  output: ClientOutput,
): Promise<void> {
  const columns = copyColumns(table, stringsOf(copy.attlist ?? []));
  const elements = copy.options ?? [];
  const { format, header } = readCopyOptions(elements, columns);
  if (format === 'binary') refuseServerOids(table, columns);
  const optionsSql = copyOutOptionsSql(elements);
  const request = { table, columns, format, hasHeader: header !== 'none', optionsSql };
  await copyOut(request, executionContext(session, []), output);
}

async function runCopyIn(
  session: SessionState,
  copy: CopyStmt,
  table: DistributedTable,
  output: ClientOutput,
): Promise<void> {
  const target = copyTarget(session, copy, table);
  const { options } = target;
  if (options.format === 'binary') refuseServerOids(table, target.columns);
  refuseEncoding(options.encoding ?? session.transaction.settings.values.get('client_encoding') ?? 'UTF8');
  if (options.freeze) {
    session.notice({ severity: 'NOTICE', code: '00000', message: 'FREEZE is ignored for distributed tables' });
  }
  session.transaction.ensureBlock();
  const { client } = session;
  await withStatementTriggers(session, copyFirings(table), output, async () => {
    const { rowCount, drewSequences } = await copyFromClient(executionContext(session, []), target, {
      write: (frame) => client.write(frame),
      notice: (fields) => client.write(encodeNoticeResponse(fields)),
      inbox: client.inbox,
    });
    // currval() speaks of this session's own connection to the coordinator.
    if (drewSequences) session.pinned = true;
    output.complete(`COPY ${rowCount}`);
  });
}

/** To triggers COPY is an INSERT. */
function copyFirings(table: DistributedTable): TriggerFirings | undefined {
  if (table.distribution.kind !== 'distributed') return undefined;
  const of = (before: boolean): TriggerFiring[] => {
    const waits = table.statementTriggers.some((each) => each.before === before && each.events.includes('insert'));
    return waits ? [{ table, event: 'insert', columns: [] }] : [];
  };
  return table.statementTriggers.length === 0 ? undefined : { before: of(true), after: of(false), reads: [] };
}

function copyTarget(session: SessionState, copy: CopyStmt, table: DistributedTable): CopyTarget {
  const columns = copyColumns(table, stringsOf(copy.attlist ?? []));
  const elements = copy.options ?? [];
  const options = readCopyOptions(elements, columns);
  if (options.hasDefaultMarker) refuseRoutersDefaults(table, columns);
  return {
    table,
    columns,
    options,
    optionsSql: copyInOptionsSql(elements, columns),
    whereSql: copyWhereSql(copy.whereClause, session.catalog),
  };
}

/** A field that stands for its column's default: a server has no sequences, and a clock and dice of its own. */
function refuseRoutersDefaults(table: DistributedTable, columns: readonly string[]): void {
  const keys: readonly string[] =
    table.distribution.kind === 'distributed' ? table.distribution.keys.map((key) => key.name) : [];
  const column = table.columns.find(({ name, default: fallback }) => {
    if (!columns.includes(name) || fallback.kind === 'none') return false;
    return fallback.kind !== 'constant' || keys.includes(name);
  });
  if (column === undefined) return;
  throw unsupported(
    'PH002',
    `COPY with option DEFAULT, whose column "${column.name}" has a default that the router draws`,
    {
      hint: 'Leave the column out of the column list.',
    },
  );
}

/** The binary forms of these types hold OIDs, which differ between servers. */
function refuseServerOids(table: DistributedTable, columns: readonly string[]): void {
  const column = table.columns.find(
    ({ name, typeName, typeOid }) =>
      columns.includes(name) &&
      (/^reg[a-z]+(\[\])?$/.test(typeName) || (typeName.endsWith('[]') && typeOid >= firstUserOid)),
  );
  if (column === undefined) return;
  throw unsupported('PH002', `COPY in binary format of column "${column.name}" of type ${column.typeName}`, {
    hint: 'Use the text or CSV format.',
  });
}

/** FirstNormalObjectId: OIDs below are the same on every server. */
const firstUserOid = 16_384;

/** Keys are read as bytes, and added fields are written as such. */
function refuseEncoding(name: string): void {
  const encoding = name.toLowerCase().replace(/[^a-z0-9]/g, '');
  if (['utf8', 'unicode', 'sqlascii'].includes(encoding)) return;
  throw unsupported('PH009', `COPY into a distributed table in encoding ${name}`);
}
