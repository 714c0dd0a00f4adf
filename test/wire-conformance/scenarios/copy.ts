import { bind, copyData, copyDone, copyFail, execute, flush, parse, query, sync } from '../frames.ts';
import { type Scenario, talk } from '../scenario.ts';

/** COPY in both protocols. */
export const copy: readonly Scenario[] = [
  talk('COPY in, text', async (c) => {
    await c.answers(1, query('COPY w (id, t) FROM STDIN'));
    await c.ready(copyData('200\teins\n201\t\\N\n20'), copyData('2\tzw\\tei\n'), copyData('203\t\\\\.\n'), copyDone());
    await c.ready(query('SELECT id, t FROM w WHERE id >= 200 ORDER BY id'));
    await c.ready(query('DELETE FROM w WHERE id >= 200'));
  }),
  talk('COPY in, CSV with header', async (c) => {
    await c.answers(1, query('COPY w (t, id) FROM STDIN WITH (FORMAT csv, HEADER)'));
    await c.ready(copyData('t,id\n"a ""q"", b\nc",210\n,211\n"",212\n'), copyDone());
    await c.ready(query('SELECT id, t FROM w WHERE id >= 210 ORDER BY id'));
    await c.ready(query('DELETE FROM w WHERE id >= 210'));
  }),
  talk('COPY in fails on a bad row and leaves nothing', async (c) => {
    await c.answers(1, query('COPY w (id, t) FROM STDIN'));
    await c.ready(copyData('220\ta\n221\tb\nzwei\tc\n223\td\n'), copyDone());
    await c.answers(1, query('COPY w (id, t) FROM STDIN'));
    await c.ready(copyData('220\ta\n1\tb\n'), copyDone());
    await c.answers(1, query('COPY w (id, t) FROM STDIN'));
    await c.ready(copyData('220\ta\tzu viel\n'), copyDone());
    await c.answers(1, query('COPY w (id, t) FROM STDIN'));
    await c.ready(copyData('220\n'), copyDone());
    await c.ready(query('SELECT count(*) FROM w WHERE id >= 220'));
  }),
  talk('COPY in ended by the client', async (c) => {
    await c.answers(1, query('COPY w (id, t) FROM STDIN'));
    await c.ready(copyData('230\ta\n'), copyFail('keine Lust'));
    await c.ready(query('SELECT count(*) FROM w WHERE id = 230'));
  }),
  talk('COPY in a transaction', async (c) => {
    await c.ready(query('BEGIN'));
    await c.answers(1, query('COPY w (id, t) FROM STDIN'));
    await c.ready(copyData('240\ta\n241\tb\n'), copyDone());
    await c.ready(query('SELECT count(*) FROM w WHERE id >= 240'));
    await c.ready(query('ROLLBACK'));
    await c.ready(query('SELECT count(*) FROM w WHERE id >= 240'));
  }),
  talk('COPY out', async (c) => {
    await c.ready(query('COPY (SELECT id, t, n FROM w WHERE id < 5 ORDER BY id) TO STDOUT'));
    await c.ready(query('COPY (SELECT id, t FROM w WHERE id = 3) TO STDOUT WITH (FORMAT csv, HEADER, FORCE_QUOTE *)'));
    await c.ready(query('COPY (SELECT count(*) FROM w) TO STDOUT WITH (FORMAT binary)'));
    await c.ready(query('COPY wr TO STDOUT'));
    await c.ready(query('COPY wl (name) TO STDOUT'));
    await c.ready(query('COPY nope TO STDOUT'));
    await c.ready(query('COPY (SELECT 1 / (id - 3) FROM w WHERE id = 3) TO STDOUT'));
  }),
  talk('COPY out of a whole distributed table', (c) => c.ready(query('COPY w (id, t) TO STDOUT'))),
  talk('COPY among other statements', async (c) => {
    await c.answers(
      4,
      query('SELECT 1; COPY wl (id, name) FROM STDIN; SELECT count(*) FROM wl; DELETE FROM wl WHERE id > 1'),
    );
    await c.ready(copyData('7\tsieben\n'), copyDone());
  }),
  talk('COPY through the extended protocol', async (c) => {
    await c.answers(3, parse('COPY w (id, t) FROM STDIN'), bind(), execute(), flush());
    await c.answers(1, copyData('250\ta\n'), copyDone(), flush());
    await c.ready(sync());
    await c.ready(parse('COPY (SELECT id FROM w WHERE id >= 250) TO STDOUT'), bind(), execute(), sync());
    await c.ready(query('DELETE FROM w WHERE id >= 250'));
  }),
  talk('a COPY message without a COPY is ignored', (c) => c.ready(copyData('x'), copyDone(), query('SELECT 1'))),
];
