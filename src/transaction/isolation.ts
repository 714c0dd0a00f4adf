import type { SettingsSnapshot } from './settings.ts';

/** READ UNCOMMITTED is READ COMMITTED, as in PostgreSQL. */
export type IsolationLevel = 'read committed' | 'repeatable read' | 'serializable';

/** The level that BEGIN or SET TRANSACTION names, if it names one; the last of several. */
export function readIsolation(sql: string): IsolationLevel | null {
  const matches = sql.matchAll(/isolation\s+level\s+(serializable|repeatable\s+read|read\s+(?:un)?committed)/gi);
  const name = [...matches].at(-1)?.[1];
  return name === undefined ? null : levelNamed(name);
}

export function defaultIsolation(settings: SettingsSnapshot): IsolationLevel {
  return levelNamed(settings.values.get('default_transaction_isolation') ?? '');
}

function levelNamed(name: string): IsolationLevel {
  const level = name.toLowerCase().replaceAll(/\s+/g, ' ');
  return level === 'serializable' || level === 'repeatable read' ? level : 'read committed';
}
