import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { CopyIn } from '../../test/drivers/copy.ts';
import type { Progress } from '../progress.ts';
import { generateTable, tpchTables } from './data/generate.ts';
import type { Scale } from './data/scale.ts';
import { tpchDir } from './options.ts';

/** Makes the tables, distributed if a layout is named, fills them, then makes the indexes. */
export async function loadTables(
  client: pg.Client,
  scale: Scale,
  layout: string | null,
  progress: Progress,
): Promise<void> {
  const schema = statementsOf('schema.sql');
  const isIndex = (text: string) => text.startsWith('CREATE INDEX');
  for (const text of schema.filter((each) => !isIndex(each))) await client.query(text);
  if (layout !== null) for (const text of statementsOf(join('layouts', `${layout}.sql`))) await client.query(text);
  for (const table of tpchTables) {
    progress.say(`loading ${table}`);
    let bytes = 0;
    const counted = function* () {
      for (const chunk of generateTable(scale, table)) {
        bytes += chunk.length;
        progress.say(`loading ${table}, ${Math.round(bytes / 1e6)} MB`);
        yield chunk;
      }
    };
    await client.query(new CopyIn(`COPY ${table} FROM STDIN WITH (DELIMITER '|')`, counted())).done;
  }
  for (const text of schema.filter(isIndex)) {
    progress.say(text);
    await client.query(text);
  }
}

function statementsOf(file: string): string[] {
  const text = readFileSync(join(tpchDir, file), 'utf8');
  return text.split(/;\s*\n/).filter((each) => each !== '');
}
