import { noEffects } from '../../src/catalog/session-effects.ts';
import type {
  CatalogSnapshot,
  ColocationGroup,
  ColumnDefault,
  ColumnEntry,
  DistributedTable,
  Distribution,
  FunctionTraits,
  RelationEntry,
} from '../../src/catalog/snapshot.ts';

import type { PlanContext } from '../../src/plan/context.ts';
import { noAnswers } from '../../src/plan/questions.ts';

/*
 * A small herd by hand: two nodes, four shards to a group.
 *
 *   orders, items      HASH (customer), one group: orders.customer integer, items.customer bigint
 *   users              HASH (id), serial key, global unique index on email
 *   events             LIST (region)
 *   nation             reference table
 *   notes              local table
 *   big_orders         view over orders; order_nation: view over a view and nation
 */

const types: Readonly<Record<string, number>> = {
  integer: 23,
  bigint: 20,
  text: 25,
  'character varying(20)': 1043,
  'numeric(12,2)': 1700,
  date: 1082,
  'timestamp with time zone': 1184,
  jsonb: 3802,
  'text[]': 1009,
  'public.mood': 16500,
};
const modifiers: Readonly<Record<string, number>> = { 'character varying(20)': 24, 'numeric(12,2)': 786438 };

type Column = readonly [name: string, typeName: string, defaultValue?: ColumnDefault];

function columns(list: readonly Column[]): ColumnEntry[] {
  return list.map(([name, typeName, value = { kind: 'none' }], i) => ({
    ...{ name, attnum: i + 1, typeOid: types[typeName]!, typmod: modifiers[typeName] ?? -1, typeName },
    ...{ collation: null, notNull: false, default: value },
  }));
}

const group = (id: number, family: string): ColocationGroup => ({
  ...{ id, method: 'hash', families: [family] },
  shards: [0, 1, 2, 3].map((index) => ({
    ...{ index, nodeId: 1 + (index % 2) },
    bounds: { kind: 'hash', modulus: 4, remainder: index },
  })),
});
const integers = group(1, 'integer');
const regions: ColocationGroup = {
  ...{ id: 2, method: 'list', families: ['text'] },
  shards: [
    { index: 0, nodeId: 1, bounds: { kind: 'list', values: ['eu', null] } },
    { index: 1, nodeId: 2, bounds: { kind: 'list', values: ['us'] } },
  ],
};

let oids = 16_400;

function table(
  name: string,
  list: readonly Column[],
  distribution: Distribution,
  primaryKey: string[] = [],
): RelationEntry {
  const entries = columns(list);
  const oid = ++oids;
  const distributed: DistributedTable = {
    ...{ oid, schema: 'public', name, columns: entries, primaryKey, distribution },
    ...{ hasRowTriggers: false, statementTriggers: [], hasRowSecurity: false, estimatedRows: -1 },
  };
  return { oid, schema: 'public', name, kind: 'table', columns: entries, distributed, viewDefinition: null };
}

function keyed(of: ColocationGroup, name: string, typeName: string): Extract<Distribution, { kind: 'distributed' }> {
  const key = {
    name,
    attnum: 1,
    typeOid: types[typeName]!,
    typeName,
    family: of.families[0]!,
    collation: null,
    hashFunction: null,
  };
  const shardIds = of.shards.map(({ index }) => 102008 + index);
  return { kind: 'distributed', method: of.method, keys: [key], group: of, shardIds, globalIndexes: [] };
}

function plain(
  name: string,
  kind: RelationEntry['kind'],
  list: readonly Column[],
  viewDefinition: string | null = null,
): RelationEntry {
  return {
    ...{ oid: ++oids, schema: 'public', name, kind, columns: columns(list), distributed: null, viewDefinition },
    ...(kind === 'view' ? { viewOptions: { checkOption: null, hasActions: false, isBarrier: false } } : {}),
  };
}

const users = keyed(integers, 'id', 'integer');
const emailIndex = {
  ...{ name: 'users_email_key', columns: ['email'], expressions: [], predicate: null, nullsNotDistinct: false },
  ...{ hiddenSchema: 'pgherd_unique', hiddenName: 'users_email_key' },
};

const relations: readonly RelationEntry[] = [
  table(
    'orders',
    [
      ['customer', 'integer'],
      ['id', 'integer'],
      ['total', 'numeric(12,2)'],
      ['placed', 'date'],
      ['note', 'text', { kind: 'constant', expression: "'-'::text" }],
      ['tags', 'text[]'],
      ['mood', 'public.mood'],
    ],
    keyed(integers, 'customer', 'integer'),
    ['customer', 'id'],
  ),
  table(
    'items',
    [
      ['customer', 'bigint'],
      ['order_id', 'integer'],
      ['quantity', 'integer'],
      ['price', 'numeric(12,2)'],
      ['added', 'timestamp with time zone', { kind: 'volatile', expression: 'now()' }],
    ],
    keyed(integers, 'customer', 'bigint'),
  ),
  table(
    'users',
    [
      ['id', 'integer', { kind: 'sequence', sequence: 'public.users_id_seq', identity: null }],
      ['email', 'text'],
      ['name', 'character varying(20)'],
    ],
    { ...users, globalIndexes: [emailIndex] },
    ['id'],
  ),
  table(
    'events',
    [
      ['region', 'text'],
      ['payload', 'jsonb'],
    ],
    keyed(regions, 'region', 'text'),
  ),
  table(
    'nation',
    [
      ['id', 'integer'],
      ['name', 'text'],
    ],
    { kind: 'reference', shardId: 102100 },
    ['id'],
  ),
  plain('notes', 'table', [
    ['id', 'integer'],
    ['body', 'text'],
  ]),
  plain(
    'big_orders',
    'view',
    [
      ['customer', 'integer'],
      ['total', 'numeric(12,2)'],
    ],
    ' SELECT customer,\n    total\n   FROM public.orders\n  WHERE total > 100::numeric',
  ),
  plain(
    'order_nation',
    'view',
    [
      ['customer', 'integer'],
      ['nation', 'text'],
    ],
    ' SELECT b.customer,\n    n.name AS nation\n   FROM public.big_orders b\n     JOIN public.nation n ON n.id = b.customer',
  ),
];

const functionList: Readonly<Record<FunctionTraits['volatility'], string>> = {
  immutable: 'lower upper abs length round date_part extract generate_series unnest row_number rank coalesce md5 int4',
  stable: 'now to_char date_trunc current_setting concat age pg_typeof',
  volatile: 'random nextval clock_timestamp gen_random_uuid',
};
const aggregates = 'count sum min max avg array_agg string_agg bool_or bool_and every';

function functions(): Map<string, FunctionTraits[]> {
  const map = new Map<string, FunctionTraits[]>();
  const add = (name: string, traits: Partial<FunctionTraits>) =>
    map.set(name, [
      ...(map.get(name) ?? []),
      {
        ...{ schema: 'pg_catalog', name, volatility: 'immutable', kind: 'function', strict: true, userDefined: false },
        ...{ returnsSet: name === 'generate_series' || name === 'unnest', ...traits },
      },
    ]);
  for (const [volatility, names] of Object.entries(functionList)) {
    for (const name of names.split(' ')) add(name, { volatility: volatility as FunctionTraits['volatility'] });
  }
  for (const name of aggregates.split(' ')) add(name, { kind: 'aggregate' });
  add('row_number', { kind: 'window' });
  add('rank', { kind: 'window' });
  add('my_lookup', { schema: 'public', volatility: 'stable', userDefined: true });
  add('my_pure', { schema: 'public', userDefined: true });
  return map;
}

const byName = new Map(relations.map((relation) => [relation.name, relation]));

export const herd: CatalogSnapshot = {
  ...{ version: 1, clusterId: 'golden', lowestServerVersion: 180000 },
  nodes: [1, 2].map((id) => ({
    id,
    index: id - 1,
    name: `worker${id}`,
    host: '127.0.0.1',
    port: 6000 + id,
    active: true,
  })),
  relations: new Map([['public', byName]]),
  relationsByOid: new Map(relations.map((relation) => [relation.oid, relation])),
  foreignKeys: new Map(),
  keptTables: new Set(),
  delegations: new Map(),
  distributedSchemas: new Map(),
  groups: new Map([integers, regions].map((each) => [each.id, each])),
  functions: functions(),
  functionEffects: { byName: new Map(), triggers: noEffects },
};

export function planContext(changes: Partial<PlanContext> = {}): PlanContext {
  return {
    ...{ snapshot: herd, searchPath: ['pg_catalog', 'public'], temporaryNames: new Set(['scratch']) },
    ...{ parameters: null, inTransaction: false, force: null, staging: 'tables', answers: noAnswers },
    ...{ staged: new Map(), late: [], steps: null, ...changes },
  };
}
