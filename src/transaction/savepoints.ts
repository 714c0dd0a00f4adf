import { pgError } from '../core/errors.ts';
import type { Members } from './members.ts';
import type { OpenBlock, Savepoint } from './open-block.ts';
import { applySettings, type SettingsSnapshot } from './settings.ts';

/** The block in which a savepoint is, with its servers. */
export interface SavepointPlace {
  readonly block: OpenBlock;
  readonly members: Members;
}

/** SAVEPOINT on all servers that are in the block; on those that join later it is replayed. */
export async function setSavepoint(
  name: string,
  { block, members }: SavepointPlace,
  settings: SettingsSnapshot,
): Promise<void> {
  const sql = `SAVEPOINT ${quoteName(name)}`;
  await members.onEach((connection) => connection.query(sql));
  block.replay.push({ kind: 'savepoint', sql });
  const applied = new Map(members.all.map(({ site, connection }) => [site, connection.appliedSettings]));
  block.savepoints.push({ name, inside: false, replayLength: block.replay.length, settings, applied });
}

/** Gives the settings that hold again. */
export async function rollbackToSavepoint(name: string, { block, members }: SavepointPlace): Promise<SettingsSnapshot> {
  const index = findSavepoint(block.savepoints, name);
  const savepoint = block.savepoints[index]!;
  block.replay.length = savepoint.replayLength;
  block.savepoints.length = index + 1;
  await members.onEach((connection) => connection.query(`ROLLBACK TO SAVEPOINT ${quoteName(name)}`));
  block.phase = 'open';
  for (const { site, connection } of members.all) {
    const applied = savepoint.applied.get(site);
    if (applied !== undefined) connection.appliedSettings = applied;
    await applySettings(connection, savepoint.settings);
  }
  return savepoint.settings;
}

export async function releaseSavepoint(name: string, { block, members }: SavepointPlace): Promise<void> {
  const index = findSavepoint(block.savepoints, name);
  const sql = `RELEASE SAVEPOINT ${quoteName(name)}`;
  await members.onEach((connection) => connection.query(sql));
  block.replay.push({ kind: 'savepoint', sql });
  block.savepoints.length = index;
}

/*
 * Those of a function that runs on the coordinator, which has set its own there: only nodes hear of them. One that the client's commands
 * have taken along already is no longer there, and nothing is to be done.
 */

export async function setSavepointInside(
  name: string,
  { block, members }: SavepointPlace,
  settings: SettingsSnapshot,
): Promise<void> {
  const sql = `SAVEPOINT ${quoteName(name)}`;
  await members.onEach((connection) => connection.query(sql), 'coordinator');
  block.replay.push({ kind: 'savepoint', sql });
  block.savepoints.push({ name, inside: true, replayLength: block.replay.length, settings, applied: new Map() });
}

export async function rollbackInside(name: string, { block, members }: SavepointPlace): Promise<void> {
  const index = findInside(block.savepoints, name);
  if (index < 0) return;
  block.replay.length = block.savepoints[index]!.replayLength;
  block.savepoints.length = index + 1;
  await members.onEach((connection) => connection.query(`ROLLBACK TO SAVEPOINT ${quoteName(name)}`), 'coordinator');
}

export async function releaseInside(name: string, { block, members }: SavepointPlace): Promise<void> {
  const index = findInside(block.savepoints, name);
  if (index < 0) return;
  // A server that joins later has no need of it: a function may pass thousands of exception blocks.
  block.replay.splice(block.savepoints[index]!.replayLength - 1, 1);
  block.savepoints.length = index;
  await members.onEach((connection) => connection.query(`RELEASE SAVEPOINT ${quoteName(name)}`), 'coordinator');
}

function findInside(savepoints: readonly Savepoint[], name: string): number {
  return savepoints.findLastIndex((savepoint) => savepoint.inside && savepoint.name === name);
}

function findSavepoint(savepoints: readonly Savepoint[], name: string): number {
  const index = savepoints.findLastIndex((savepoint) => savepoint.name === name);
  if (index >= 0) return index;
  throw pgError('invalidSavepointSpecification', `savepoint "${name}" does not exist`);
}

function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
