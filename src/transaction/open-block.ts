import type { Site } from '../catalog/site.ts';
import { pgError } from '../core/errors.ts';
import { defaultIsolation, type IsolationLevel, readIsolation } from './isolation.ts';
import type { Member } from './members.ts';
import type { SettingsSnapshot } from './settings.ts';

/** A transaction block as one session has it open; servers join it one by one. */
export type Block = { readonly kind: 'none' } | OpenBlock;

export interface OpenBlock {
  /** Opened by the router for a statement or two, or by the client's BEGIN. */
  readonly kind: 'implicit' | 'explicit';
  readonly begin: string;
  readonly startedAtMs: number;
  /** `failed`: only ROLLBACK, or ROLLBACK TO, leads on. `ending`: COMMIT or ROLLBACK is under way, and nothing can join any more. */
  phase: 'open' | 'failed' | 'ending';
  isolation: IsolationLevel;
  /** SAVEPOINTs and SET LOCALs in order: replayed on a server that joins late. */
  readonly replay: ReplayedCommand[];
  readonly savepoints: Savepoint[];
  readonly settingsAtStart: SettingsSnapshot;
  /** Above READ COMMITTED: settles when every server has its snapshot. Null: none has. */
  snapshots: Promise<void> | null;
  /** What now() and its like have said; it holds under these settings. */
  clock: { readonly settings: SettingsSnapshot; readonly values: Map<string, string> };
  /** SET TRANSACTION SNAPSHOT: what each server but the coordinator, which has it already, is to begin with. */
  imported: ReadonlyMap<Site, string> | null;
}

/** A command of the open block that a server must hear which joins late. */
export interface ReplayedCommand {
  readonly kind: 'savepoint' | LocalCommand;
  readonly sql: string;
}

/** SET LOCAL; SET TRANSACTION, in whatever words; SET CONSTRAINTS. */
export type LocalCommand = 'setting' | 'characteristic' | 'constraint';

export interface Savepoint {
  readonly name: string;
  /** Of a function that runs on the coordinator, which has set its own. */
  readonly inside: boolean;
  /** How much of `replay` lies before the savepoint, itself included. */
  readonly replayLength: number;
  readonly settings: SettingsSnapshot;
  /** What was applied to each connection when the savepoint was set. */
  readonly applied: ReadonlyMap<Site, string>;
}

/** `begin`: the text that opens it on each server. */
export function createBlock(
  kind: OpenBlock['kind'],
  begin: string,
  settings: SettingsSnapshot,
  startedAtMs: number,
): OpenBlock {
  // Each block makes one: objects spread out in it would cost more than all the rest.
  return {
    kind,
    begin,
    startedAtMs,
    phase: 'open',
    replay: [],
    savepoints: [],
    isolation: readIsolation(begin) ?? defaultIsolation(settings),
    settingsAtStart: settings,
    clock: { settings, values: new Map() },
    snapshots: null,
    imported: null,
  };
}

/** What a server is told that joins. Above READ COMMITTED its snapshot is taken with it. */
export function joinSql({ begin, replay, imported, snapshots }: OpenBlock, member: Member): string {
  const statements = [begin, ...replay.map(({ sql }) => sql)];
  if (imported !== null) statements.push(importSql(member, imported));
  if (snapshots !== null) statements.push('SELECT 1');
  return statements.join('; ');
}

function importSql({ site, connection }: Member, snapshots: ReadonlyMap<Site, string>): string {
  const snapshot = snapshots.get(site);
  if (snapshot !== undefined) return `SET TRANSACTION SNAPSHOT '${snapshot}'`;
  throw pgError('objectNotInPrerequisiteState', `the imported snapshot has none of ${connection.target.label}`);
}

/** A server that joins has nothing to be told but BEGIN. */
export function isPlain({ isolation, replay, snapshots, imported }: OpenBlock): boolean {
  return isolation === 'read committed' && replay.length === 0 && snapshots === null && imported === null;
}

/** The block is one whose statements share snapshots, by the client's wish or by the router's. */
export function asksForRepeatableRead({ kind, begin, isolation }: OpenBlock): boolean {
  return isolation === 'repeatable read' && (kind === 'explicit' || readIsolation(begin) !== null);
}

/** How a block like this one begins: the client's BEGIN, and SET TRANSACTION after it. */
export function beginningOf({ begin, replay }: OpenBlock): string {
  return [begin, ...replay.flatMap(({ kind, sql }) => (kind === 'characteristic' ? [sql] : []))].join('; ');
}
