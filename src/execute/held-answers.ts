import type { ServerConnection } from '../backend/server-connection.ts';
import { pgError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { AnswerSource, FrameHandler } from './exchange.ts';
import type { OpenedExchange } from './opened-exchange.ts';

interface HeldFrame {
  readonly type: number;
  readonly frame: Buffer;
}

/** The answers of a server that is wanted for other work before they are: kept in memory, up to a bound, and given in their order. */
export class HeldAnswers implements AnswerSource {
  readonly connection: ServerConnection;
  readonly #answers: HeldFrame[][] = [];
  #bytes = 0;

  private constructor(connection: ServerConnection) {
    this.connection = connection;
  }

  static async of(exchange: OpenedExchange): Promise<HeldAnswers> {
    const held = new HeldAnswers(exchange.connection);
    for (let i = 0; i < exchange.fragmentCount; i++) {
      const frames: HeldFrame[] = [];
      await exchange.run((type, frame) => held.#keep(frames, type, frame));
      held.#answers.push(frames);
    }
    if (held.#bytes <= limits.maxStagedBytes) return held;
    throw pgError('programLimitExceeded', 'too many rows of the coordinator to read with those of the nodes', {
      hint: 'Read them outside of the transaction block, in a REPEATABLE READ block, or with SET pgherd.snapshot = local.',
    });
  }

  #keep(frames: HeldFrame[], type: number, frame: Buffer): void {
    this.#bytes += frame.length;
    if (this.#bytes <= limits.maxStagedBytes) frames.push({ type, frame: Buffer.from(frame) });
    else frames.length = 0;
  }

  run(handler: FrameHandler): Promise<void> {
    for (const { type, frame } of this.#answers.shift() ?? []) handler(type, frame);
    return Promise.resolve();
  }
}
