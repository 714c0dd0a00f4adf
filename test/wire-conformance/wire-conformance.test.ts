import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addressOf, type RawConnection, TranscriptEnd } from './raw-connection.ts';
import { distribution, rows, type Scenario, setup } from './scenario.ts';
import { copy } from './scenarios/copy.ts';
import { extended } from './scenarios/extended.ts';
import { repeatedStatements } from './scenarios/repeated.ts';
import { scatteredReads } from './scenarios/scattered.ts';
import { session } from './scenarios/session.ts';
import { simple } from './scenarios/simple.ts';

const scenarios = [...simple, ...extended, ...copy, ...session, ...repeatedStatements, ...scatteredReads];

import { connectRaw, resetSchema } from '../oracle/client.ts';
import { type Pair, startPair } from '../oracle/pair.ts';
import { comparableLines } from './transcript.ts';

describe('the router answers raw messages as PostgreSQL does', () => {
  let pair: Pair;

  beforeAll(async () => {
    pair = await startPair();
    await fill(pair.plain, false);
    await fill(pair.herd, pair.distributed);
  }, 120_000);

  afterAll(async () => {
    await pair?.stop();
  }, 60_000);

  test.each(scenarios.map((scenario) => [scenario.name, scenario] as const))(
    '%s',
    async (_, scenario) => {
      const expected = await transcriptOf(scenario, pair.plain);
      expect(await transcriptOf(scenario, pair.herd)).toEqual(expected);
      expect(expected.join('\n')).not.toMatch(/\(no .*(silence|connection closed)\)/);
    },
    60_000,
  );
});

async function fill(url: string, distributed: boolean): Promise<void> {
  const client = await connectRaw(url);
  await resetSchema(client);
  for (const sql of [...setup, ...(distributed ? distribution : []), ...rows]) await client.query(sql);
  await client.end();
}

/** All that came back, connection after connection, in the order in which they were opened. */
async function transcriptOf(scenario: Scenario, url: string): Promise<string[]> {
  const connections: RawConnection[] = [];
  const open = (connection: RawConnection) => {
    connections.push(connection);
    return connection;
  };
  try {
    await scenario.run(addressOf(url), open);
  } catch (error) {
    if (!(error instanceof TranscriptEnd)) throw error;
  }
  for (const connection of connections) connection.end();
  return connections.flatMap((connection, index) => [`connection ${index + 1}`, ...comparableLines(connection.lines)]);
}
