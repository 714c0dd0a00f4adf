/** Which room (folder under src/) may import which: the one place where the arrows stand. Each room may import itself. */
export const rooms: Readonly<Record<string, readonly string[]>> = {
  core: [],
  wire: ['core'],
  sql: ['core'],
  catalog: ['core'],
  plan: ['core', 'sql', 'catalog'],
  backend: ['core', 'wire', 'catalog'],
  transaction: ['core', 'catalog', 'backend'],
  execute: ['core', 'wire', 'sql', 'catalog', 'plan', 'backend', 'transaction'],
  session: ['core', 'wire', 'sql', 'catalog', 'plan', 'backend', 'transaction', 'execute'],
  schema: ['core', 'sql', 'catalog', 'backend', 'transaction'],
  cluster: ['core', 'sql', 'catalog', 'backend', 'transaction', 'execute', 'schema'],
  monitor: ['core', 'catalog', 'backend'],
  report: ['core', 'backend'],
  sdk: ['core', 'catalog', 'backend', 'transaction'],
  cli: [
    'core',
    'wire',
    'sql',
    'catalog',
    'plan',
    'backend',
    'transaction',
    'execute',
    'session',
    'schema',
    'cluster',
    'monitor',
    'report',
    'sdk',
  ],
};

/** Rooms of pure functions: no sockets, files, processes or timers. */
export const pureRooms: readonly string[] = ['wire', 'sql', 'catalog', 'plan'];

export const impureModules: readonly string[] = [
  'node:net',
  'node:tls',
  'node:http',
  'node:fs',
  'node:fs/promises',
  'node:child_process',
  'node:timers',
  'node:timers/promises',
  'node:worker_threads',
  'node:cluster',
];
