import type { FuncCall, SelectStmt, VariableSetStmt } from '@pgsql/types';
import type { Site } from '../catalog/site.ts';
import { pgError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { ClientOutput } from '../execute/client-output.ts';
import { constantText } from '../sql/constant.ts';
import { quoteLiteral } from '../sql/quote.ts';
import { nameParts } from '../sql/walk.ts';
import { sayRows } from './say-rows.ts';
import type { SessionState } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';

/*
 * pg_export_snapshot() and SET TRANSACTION SNAPSHOT: how the workers of `pg_dump -j` see what their leader sees. A snapshot of the
 * herd is one of each server; the client knows it by the coordinator's.
 */

/** Of all sessions of a worker; the other workers are asked, other routers are not. Bounded, oldest out. */
export class ExportedSnapshots {
  #byName = new Map<string, ReadonlyMap<Site, string>>();

  add(name: string, snapshots: ReadonlyMap<Site, string>): void {
    this.#byName.set(name, snapshots);
    if (this.#byName.size <= limits.maxExportedSnapshots) return;
    const oldest = this.#byName.keys().next().value;
    if (oldest !== undefined) this.#byName.delete(oldest);
  }

  find(name: string): ReadonlyMap<Site, string> | null {
    return this.#byName.get(name) ?? null;
  }
}

/** `SELECT pg_export_snapshot()`. Inside another statement it exports the coordinator's alone, which nobody can import. */
export function isSnapshotExport({ node, kind }: ParsedStatement): boolean {
  if (kind !== 'SelectStmt') return false;
  const { targetList = [], fromClause } = (node as { SelectStmt: SelectStmt }).SelectStmt;
  const [target] = targetList as { ResTarget?: { val?: { FuncCall?: FuncCall } } }[];
  const name = nameParts(target?.ResTarget?.val?.FuncCall?.funcname).at(-1);
  return targetList.length === 1 && fromClause === undefined && name === 'pg_export_snapshot';
}

/** In READ COMMITTED the servers' snapshots are of different moments, so only the coordinator's is exported. */
export async function runSnapshotExport(session: SessionState, output: ClientOutput): Promise<void> {
  const { transaction } = session;
  await session.coordinator('data');
  const sites: readonly Site[] = transaction.isolation === 'repeatable read' ? transaction.sites : ['coordinator'];
  const snapshots = new Map<Site, string>();
  for (const site of sites) {
    const { rows } = await transaction.connectionOf(site)!.query('SELECT pg_catalog.pg_export_snapshot()');
    snapshots.set(site, rows[0]![0]!);
  }
  const name = snapshots.get('coordinator')!;
  if (transaction.isolation === 'repeatable read') session.services.snapshots.add(name, snapshots);
  sayRows(output, [{ name: 'pg_export_snapshot', typeOid: textOid }], [[name]]);
  output.complete('SELECT 1');
}

const textOid = 25;

async function peersSnapshot({ services }: SessionState, name: string): Promise<ReadonlyMap<Site, string> | null> {
  const found = (await services.peers.ask({ kind: 'snapshot', name })).find((answer) => answer !== null);
  return found ? new Map(found) : null;
}

export async function runSnapshotImport(
  session: SessionState,
  command: VariableSetStmt,
  output: ClientOutput,
): Promise<void> {
  const name = constantText(command.args?.[0]) ?? '';
  const snapshots = session.services.snapshots.find(name) ?? (await peersSnapshot(session, name));
  if (snapshots === null) {
    throw pgError('invalidParameterValue', `invalid snapshot identifier: "${name}"`, {
      hint: 'Export it through this router, in a REPEATABLE READ transaction, by SELECT pg_export_snapshot().',
    });
  }
  const connection = await session.coordinator('setting');
  const { tag } = await connection.query(`SET TRANSACTION SNAPSHOT ${quoteLiteral(name)}`);
  session.transaction.importSnapshots(snapshots);
  output.complete(tag);
}
