import type { Examination, Server, ServerFacts } from './server-facts.ts';

export interface Finding {
  readonly check: Check;
  readonly state: 'warning' | 'error';
  readonly message: string;
  /** What to do. */
  readonly advice: string;
}

export const checks = [
  'connectivity',
  'versions',
  'settings',
  'clocks',
  'encodings',
  'schema',
  'roles',
  'transactions',
] as const;
export type Check = (typeof checks)[number];

type Known = Server & { readonly facts: ServerFacts };
type Say = (state: Finding['state'], message: string, advice: string) => void;

/** What is wrong, or might be, in a cluster that was examined: each check says nothing if all is well. */
export function judge(examination: Examination): Finding[] {
  const findings: Finding[] = [];
  const known = examination.servers.filter((server): server is Known => typeof server.facts !== 'string');
  for (const check of checks) {
    const say: Say = (state, message, advice) => void findings.push({ check, state, message, advice });
    rules[check](known, examination, say);
  }
  return findings;
}

const rules: Readonly<Record<Check, (servers: readonly Known[], examination: Examination, say: Say) => void>> = {
  connectivity(_, { servers }, say) {
    for (const { name, facts } of servers) {
      if (typeof facts === 'string')
        say('error', `${name} does not answer: ${facts}`, 'Start it, or look at its log and at the network to it.');
    }
  },
  versions(servers, { isHerd }, say) {
    for (const { name, facts } of servers) {
      if (isHerd && facts.version < lowestVersion)
        say('error', `${name} runs PostgreSQL ${major(facts)}`, 'Upgrade it to 15 or newer.');
    }
    for (const { value, names } of minorities(servers, major)) {
      say(
        'warning',
        `${names} runs PostgreSQL ${value}, others another one`,
        'Bring all servers to one major version: what only the newer ones know fails on the older.',
      );
    }
    for (const extension of new Set(servers.flatMap(({ facts }) => Object.keys(facts.extensions)))) {
      if (extension === coordinatorsOwn) continue;
      for (const { value, names } of minorities(servers, (facts) => facts.extensions[extension] ?? 'missing')) {
        say(
          'warning',
          `extension ${extension} is ${value} on ${names}`,
          `CREATE EXTENSION, or ALTER EXTENSION ${extension} UPDATE, there.`,
        );
      }
    }
  },
  settings(servers, { isHerd }, say) {
    for (const server of servers) checkSettings(server, isHerd, say);
    for (const name of alikeSettings) {
      for (const { value, names } of minorities(servers, ({ settings }) => settings[name] ?? '')) {
        say(
          'warning',
          `${name} is ${value} on ${names}, and something else on the others`,
          'Make it the same everywhere: pgherd gpconfig -c does.',
        );
      }
    }
  },
  clocks: checkClocks,
  encodings(servers, _, say) {
    for (const [what, of] of [
      ['encoding', (facts: ServerFacts) => facts.encoding],
      ['default collation', (facts: ServerFacts) => facts.order],
    ] as const) {
      for (const { value, names } of minorities(servers, of)) {
        say(
          'error',
          `the ${what} is ${value} on ${names}, and something else on the others`,
          'Rows would compare differently: move its database to one with the same encoding and locale.',
        );
      }
    }
    for (const { name, facts } of servers) {
      if (!facts.staleCollation) continue;
      say(
        'warning',
        `the version of the default collation of ${name} has changed`,
        'REINDEX DATABASE there, then ALTER DATABASE … REFRESH COLLATION VERSION.',
      );
    }
  },
  schema: checkSchema,
  roles(servers, _, say) {
    for (const role of new Set(servers.flatMap(({ facts }) => facts.roles))) {
      const without = servers.filter(({ facts }) => !facts.roles.includes(role)).map(({ name }) => name);
      if (without.length > 0)
        say(
          'warning',
          `role ${role} is not on ${without.join(', ')}`,
          'Make it through the router, or there; else its statements fail on these servers.',
        );
    }
  },
  transactions(servers, _, say) {
    for (const { name, facts } of servers) {
      if (facts.oldPrepared === 0) continue;
      say(
        'warning',
        `${name} holds ${facts.oldPrepared} transactions that were prepared more than a minute ago`,
        'pgherd transactions says what they are. They hold locks; never end those of pgherd by hand.',
      );
    }
  },
};

const lowestVersion = 150_000;
/** By it functions on the coordinator come back to the router. */
const coordinatorsOwn = 'postgres_fdw';
const major = ({ version }: ServerFacts) => String(Math.floor(version / 10_000));

/** Of settings that change what statements mean. */
const alikeSettings = [
  'TimeZone',
  'DateStyle',
  'IntervalStyle',
  'standard_conforming_strings',
  'default_transaction_isolation',
];

function checkSettings({ name, isCoordinator, facts }: Known, isHerd: boolean, say: Say): void {
  const number = (setting: string) => Number(facts.settings[setting]);
  const prepared = number('max_prepared_transactions');
  if (isHerd && !isCoordinator && prepared === 0) {
    say(
      'error',
      `max_prepared_transactions of ${name} is 0: no transaction over several nodes can commit`,
      'pgherd gpconfig -c max_prepared_transactions -v 200, and restart the servers.',
    );
  } else if (isHerd && !isCoordinator && prepared < 50) {
    say(
      'warning',
      `max_prepared_transactions of ${name} is ${prepared}: so few transactions can commit at once`,
      'pgherd gpconfig -c max_prepared_transactions -v 200, and restart the servers.',
    );
  }
  if (isHerd && number('max_locks_per_transaction') < 128) {
    say(
      'warning',
      `max_locks_per_transaction of ${name} is ${number('max_locks_per_transaction')}: statements over many shards may run out of locks`,
      'Set it to 256, and restart the servers.',
    );
  }
  if (number('max_connections') < 50) {
    say(
      'warning',
      `max_connections of ${name} is ${number('max_connections')}`,
      'It has to be enough for pools.maxConnectionsPerPool × roles × routers, and 8 more.',
    );
  }
  for (const setting of ['fsync', 'full_page_writes'] as const) {
    if (facts.settings[setting] !== 'off') continue;
    say(
      'error',
      `${setting} of ${name} is off: a crash can destroy its data`,
      `ALTER SYSTEM RESET ${setting} there, and reload.`,
    );
  }
  if (facts.settings['autovacuum'] === 'off') {
    say(
      'warning',
      `autovacuum of ${name} is off`,
      'Its tables grow, and transaction ids run out one day: switch it on.',
    );
  }
  if (isHerd && !/^(C|POSIX|en.*)?(\.|$)/.test(facts.settings['lc_messages'] ?? '')) {
    say(
      'error',
      `lc_messages of ${name} is ${facts.settings['lc_messages']}`,
      "The guards read messages in English: ALTER SYSTEM SET lc_messages = 'C' there, and reload.",
    );
  }
  if (!/\bpg_stat_statements\b/.test(facts.settings['shared_preload_libraries'] ?? '')) {
    say(
      'warning',
      `${name} does not load pg_stat_statements`,
      'Slow queries are not seen there: add it to shared_preload_libraries, and restart the server.',
    );
  }
}

const tolerableMs = 500;

/** Differences below what asking itself may have taken say nothing. */
function checkClocks(servers: readonly Known[], _: Examination, say: Say): void {
  const advice =
    'Run a time service (chrony, systemd-timesyncd) on all machines: now() differs by shard, and lags are misread.';
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  const times = servers.map(({ name, facts, localMs, uncertaintyMs }) => ({
    name,
    offMs: facts.nowMs - localMs,
    uncertaintyMs,
  }));
  const earliest = Math.min(...times.map(({ offMs, uncertaintyMs }) => offMs + uncertaintyMs));
  const latest = Math.max(...times.map(({ offMs, uncertaintyMs }) => offMs - uncertaintyMs));
  if (latest - earliest > tolerableMs) {
    const listed = times.map(({ name, offMs }) => `${name} ${seconds(offMs)}`).join(', ');
    say(
      'warning',
      `the servers' clocks differ by ${seconds(latest - earliest)} or more (${listed}, from here)`,
      advice,
    );
    return;
  }
  const far = times.find(({ offMs, uncertaintyMs }) => Math.abs(offMs) - uncertaintyMs > tolerableMs);
  if (far) say('warning', `this machine's clock and the servers' differ by ${seconds(Math.abs(far.offMs))}`, advice);
}

function checkSchema(servers: readonly Known[], _: Examination, say: Say): void {
  const coordinator = servers.find(({ isCoordinator }) => isCoordinator);
  const nodes = servers.filter(({ isCoordinator }) => !isCoordinator);
  const advice = 'Somebody has changed it past the router. Undo that there, or do the same through the router.';
  for (const [table, shell] of Object.entries(coordinator?.facts.tables ?? {})) {
    for (const { name, facts } of nodes) {
      const own = facts.tables[table];
      if (own === null || own === undefined)
        say(
          'error',
          `table ${table} is not on ${name}`,
          'Its rows there are lost, or the search path hides it: look at the node.',
        );
      else if (shell && own.columns !== shell.columns)
        say(
          'error',
          `the columns of ${table} on ${name} are not the coordinator's: ${difference(own.columns, shell.columns)}`,
          advice,
        );
    }
    for (const part of ['constraints', 'indexes'] as const) {
      for (const { value, names } of minorities(nodes, ({ tables }) => tables[table]?.[part] ?? '')) {
        say(
          'warning',
          `the ${part} of ${table} on ${names} are not those of the other nodes: ${value === '' ? 'none' : value}`,
          advice,
        );
      }
    }
  }
  for (const { name, facts } of servers) {
    if (facts.invalidIndexes.length === 0) continue;
    say(
      'warning',
      `${name} has invalid indexes: ${facts.invalidIndexes.join(', ')}`,
      'A build of them has failed: DROP INDEX and create them again through the router.',
    );
  }
}

/** Items of comma-separated lists that stand on one side only. */
function difference(own: string, shell: string): string {
  const [there, here] = [own.split(', '), shell.split(', ')];
  const more = there.filter((item) => !here.includes(item)).map((item) => `+ ${item}`);
  const less = here.filter((item) => !there.includes(item)).map((item) => `- ${item}`);
  return [...more, ...less].join(', ');
}

/** Values that are not what most servers have, with the names of who has them. */
function minorities(servers: readonly Known[], of: (facts: ServerFacts) => string): { value: string; names: string }[] {
  const byValue = new Map<string, string[]>();
  for (const { name, facts } of servers) byValue.set(of(facts), [...(byValue.get(of(facts)) ?? []), name]);
  const [, ...others] = [...byValue].sort(([, a], [, b]) => b.length - a.length);
  return others.map(([value, names]) => ({ value, names: names.join(', ') }));
}
