import type { CatalogSnapshot, DistributedTable, GlobalIndex, RelationEntry } from '../catalog/snapshot.ts';
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../sql/quote.ts';

/**
 * Where no server can keep a key by itself, the tables concerned carry triggers that report each change of its columns to the
 * router, by a notice that only the router sees. So it learns of all changes: by statements of any form, by COPY, by
 * foreign keys' actions and by triggers on the nodes.
 */
export interface KeyWatch {
  /** `u` global unique index, `c` the referencing and `p` the referenced side of a foreign key; then an OID. */
  readonly id: string;
  readonly relation: number;
  readonly schema: string;
  readonly name: string;
  readonly site: 'nodes' | 'coordinator';
  /** What is reported of a row: columns, in this order, as text. */
  readonly columns: readonly string[];
  /** SQL over the row's columns, for each of `columns` that is none of theirs; null: it is one. */
  readonly expressions?: readonly (string | null)[];
  /** SQL over the row's columns: only rows that satisfy it count. */
  readonly predicate: string | null;
  readonly events: 'INSERT OR UPDATE OR DELETE' | 'INSERT OR UPDATE' | 'UPDATE OR DELETE';
  /** Fires in replication too, as an index does and a foreign key doesn't. */
  readonly always: boolean;
}

/** Behind this comes the watch's id. Sorts before the user's triggers, so that changes are reported in their order. */
export const watchTriggerPrefix = '!pgherd_';

export function watchesOf(snapshot: CatalogSnapshot): KeyWatch[] {
  const watches: KeyWatch[] = [];
  for (const { distributed } of snapshot.relationsByOid.values()) {
    if (distributed?.distribution.kind !== 'distributed') continue;
    for (const index of distributed.distribution.globalIndexes) watches.push(indexWatch(distributed, index));
  }
  for (const key of snapshot.foreignKeys.values()) {
    const [child, parent] = [snapshot.relationsByOid.get(key.child)!, snapshot.relationsByOid.get(key.parent)!];
    watches.push(
      { ...sideWatch(`c${key.oid}`, child, key.childColumns), events: 'INSERT OR UPDATE' },
      { ...sideWatch(`p${key.oid}`, parent, key.parentColumns), events: 'UPDATE OR DELETE' },
    );
  }
  return watches;
}

function indexWatch(table: DistributedTable, index: GlobalIndex): KeyWatch {
  return {
    ...{ id: indexWatchId(index), relation: table.oid, schema: table.schema, name: table.name, site: 'nodes' },
    ...{ columns: indexEntryColumns(table, index), expressions: index.expressions, predicate: index.predicate },
    ...{ events: 'INSERT OR UPDATE OR DELETE', always: true },
  };
}

export function indexWatchId(index: GlobalIndex): string {
  return index.hiddenName.replace('key_', 'u');
}

/** The columns of the hidden table: the unique ones, then the distribution columns that are not among them. */
export function indexEntryColumns(table: DistributedTable, index: GlobalIndex): string[] {
  const keys = table.distribution.kind === 'distributed' ? table.distribution.keys.map(({ name }) => name) : [];
  return [...index.columns, ...keys.filter((name) => !index.columns.includes(name))];
}

/** A reference table's rows are counted once: on the coordinator. */
function sideWatch(id: string, relation: RelationEntry, columns: readonly string[]): Omit<KeyWatch, 'events'> {
  const { oid, schema, name, distributed } = relation;
  const site = distributed?.distribution.kind === 'distributed' ? 'nodes' : 'coordinator';
  return { id, relation: oid, schema, name, site, columns, predicate: null, always: false };
}

export function watchSql(watch: KeyWatch): string[] {
  const table = quoteQualified(watch.schema, watch.name);
  const trigger = quoteIdentifier(`${watchTriggerPrefix}${watch.id}`);
  return [
    watchFunctionSql(watch),
    `CREATE TRIGGER ${trigger} AFTER ${watch.events} ON ${table} FOR EACH ROW EXECUTE FUNCTION ${functionName(watch.id)}`,
    ...(watch.always ? [`ALTER TABLE ${table} ENABLE ALWAYS TRIGGER ${trigger}`] : []),
  ];
}

/** With the triggers that call it. */
export function dropWatchSql(id: string): string {
  return `DROP FUNCTION IF EXISTS ${functionName(id)} CASCADE`;
}

function functionName(id: string): string {
  return `pgherd.${quoteIdentifier(`key_${id}`)}()`;
}

/** All names are qualified, lest a client's search_path put others in. Texts, not values, are compared: too many reports do no harm. */
export function watchFunctionSql(watch: KeyWatch): string {
  return `CREATE OR REPLACE FUNCTION ${functionName(watch.id)} RETURNS trigger LANGUAGE plpgsql AS $pgherd$
#variable_conflict use_column
DECLARE was pg_catalog.text[]; becomes pg_catalog.text[];
BEGIN
  IF TG_OP OPERATOR(pg_catalog.<>) 'INSERT' THEN ${valuesSql(watch, 'was', 'OLD')} END IF;
  IF TG_OP OPERATOR(pg_catalog.<>) 'DELETE' THEN ${valuesSql(watch, 'becomes', 'NEW')} END IF;
  IF was OPERATOR(pg_catalog.=) becomes OR was IS NULL AND becomes IS NULL THEN RETURN NULL; END IF;
  RAISE INFO USING ERRCODE = 'PHKEY', MESSAGE = pg_catalog.json_build_array(${quoteLiteral(watch.id)}, was, becomes)::pg_catalog.text;
  RETURN NULL;
END $pgherd$`;
}

function valuesSql({ columns, expressions = [], predicate }: KeyWatch, variable: string, row: 'OLD' | 'NEW'): string {
  const list = (prefix: string) =>
    columns
      .map(
        (name, i) => `${expressions[i] ? `(${expressions[i]})` : `${prefix}${quoteIdentifier(name)}`}::pg_catalog.text`,
      )
      .join(', ');
  const isPlain = predicate === null && !expressions.some((each) => each !== null);
  if (isPlain) return `${variable} := ARRAY[${list(`${row}.`)}];`;
  return `${variable} := (SELECT ARRAY[${list('r.')}] FROM (SELECT ${row}.*) AS r${predicate === null ? '' : ` WHERE ${predicate}`});`;
}
