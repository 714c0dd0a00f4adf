import { createReadStream, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import type pg from 'pg';
import { CopyIn } from '../drivers/copy.ts';

export const tpchTables = ['region', 'nation', 'supplier', 'customer', 'part', 'partsupp', 'orders', 'lineitem'];

const here = import.meta.dirname;

/** How the tables may be distributed: files in `layouts/`. */
export const layouts = readdirSync(join(here, 'layouts')).map((file) => file.replace('.sql', ''));

/** Creates the eight tables, distributes them if a layout is named, and streams `*.tbl.gz` of `directory` into them. */
export async function loadTpch(client: pg.Client, directory: string, layout: string | null): Promise<void> {
  await client.query(readFileSync(join(here, 'schema.sql'), 'utf8'));
  if (layout !== null) {
    for (const statement of readFileSync(join(here, 'layouts', `${layout}.sql`), 'utf8').split(/;\s*\n/))
      if (statement !== '') await client.query(statement);
  }
  for (const table of tpchTables) {
    const rows = createReadStream(join(directory, `${table}.tbl.gz`)).pipe(createGunzip());
    await client.query(new CopyIn(`COPY ${table} FROM STDIN WITH (DELIMITER '|')`, withoutTrailingBar(rows))).done;
  }
  await client.query('ANALYZE');
}

/** dbgen ends some editions' lines with a bar that COPY would take for one more column. */
async function* withoutTrailingBar(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest = '';
  for await (const chunk of chunks) {
    const text = rest + chunk.toString('latin1');
    const end = text.lastIndexOf('\n') + 1;
    rest = text.slice(end);
    if (end > 0) yield Buffer.from(text.slice(0, end).replaceAll('|\n', '\n'), 'latin1');
  }
  if (rest !== '') yield Buffer.from(`${rest.replace(/\|$/, '')}\n`, 'latin1');
}
