import type { ConnectionPool } from '../backend/pool.ts';
import type { ServerConnection } from '../backend/server-connection.ts';
import { runPrepared } from '../backend/tag-answer.ts';
import type { NodeId } from '../catalog/snapshot.ts';
import { type PgError, pgError } from '../core/errors.ts';
import { failure } from './answers.ts';
import { decideTogetherSql } from './decision-sql.ts';
import type { TransactionName } from './gid.ts';
import type { Answer } from './protocol.ts';

interface Undecided {
  readonly name: TransactionName;
  readonly nodes: readonly NodeId[];
  readonly decided: (answer: Answer) => void;
}

/** Bounds the parameters of one statement. */
const maxDecisionsTogether = 100;

/**
 * Decides for transactions that have changed nothing on the coordinator, by the router's own role. One statement is under way at a time; what
 * comes meanwhile is decided by the next one together, with one flush to disk, as PostgreSQL's own commits are.
 *
 * Invariant: each `decided` is called once. A statement that was refused has decided nothing, so its transactions are then tried one by one.
 */
export class Decider {
  readonly #pool: Pick<ConnectionPool, 'tryAcquire' | 'acquire' | 'release'>;
  #undecided: Undecided[] = [];
  #busy = false;

  constructor(pool: Pick<ConnectionPool, 'tryAcquire' | 'acquire' | 'release'>) {
    this.#pool = pool;
  }

  decide(name: TransactionName, nodes: readonly NodeId[], decided: (answer: Answer) => void): void {
    this.#undecided.push({ name, nodes, decided });
    if (!this.#busy) this.#next();
  }

  #next(): void {
    const first = this.#undecided[0];
    this.#busy = first !== undefined;
    if (first === undefined) return;
    const isNext = ({ name }: Undecided, place: number) =>
      name.epoch === first.name.epoch && place < maxDecisionsTogether;
    const batch = this.#undecided.filter(isNext);
    this.#undecided = this.#undecided.filter((each, place) => !isNext(each, place));
    this.#run(batch, (answer) => {
      this.#next();
      if (answer.kind === 'refused' && batch.length > 1) for (const each of batch) this.#run([each], each.decided);
      else for (const { decided } of batch) decided(answer);
    });
  }

  #run(batch: readonly Undecided[], decided: (answer: Answer) => void): void {
    const free = this.#pool.tryAcquire();
    if (free !== null) this.#send(free, batch, decided);
    else {
      this.#pool.acquire().then(
        (connection) => this.#send(connection, batch, decided),
        (error) => decided(failure(error)),
      );
    }
  }

  #send(connection: ServerConnection, batch: readonly Undecided[], decided: (answer: Answer) => void): void {
    const { sql, parameters } = decideTogetherSql(batch);
    runPrepared(connection, sql, parameters, (tag, error) => {
      this.#pool.release(connection);
      if (error !== null) decided(failure(error));
      else decided(tag === `INSERT 0 ${batch.length}` ? { kind: 'done' } : failure(declaredDead()));
    });
  }
}

function declaredDead(): PgError {
  return pgError('serializationFailure', 'this router was declared dead while the transaction ran', {
    hint: 'Run the transaction again.',
  });
}
