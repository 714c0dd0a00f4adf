import type { NodeId } from '../catalog/snapshot.ts';
import { type ClientOutput, PassingOutput } from './client-output.ts';

/**
 * What RETURNING gives of rows that went to several nodes, in the order in which the rows were given: clients match them up by it.
 * Where a node returned fewer rows than it got (ON CONFLICT DO NOTHING) nobody can tell which, and its rows come in one piece.
 */
export class ReturnedInOrder {
  readonly #output: ClientOutput;
  readonly #held = new Map<NodeId, Buffer[]>();

  constructor(output: ClientOutput) {
    this.#output = output;
  }

  /** Takes one node's rows, and keeps them. */
  from(node: NodeId): ClientOutput {
    const frames: Buffer[] = [];
    this.#held.set(node, frames);
    return new HeldOutput(this.#output, frames);
  }

  /** Passes all rows on. `rows` are those that were given, in order. */
  release(rows: readonly Buffer[], byNode: ReadonlyMap<NodeId, readonly Buffer[]>): void {
    const complete = [...byNode].every(([node, given]) => this.#held.get(node)?.length === given.length);
    const frames = complete ? this.#interleaved(rows, byNode) : [...this.#held.values()].flat();
    for (const frame of frames) this.#output.row(frame);
  }

  #interleaved(rows: readonly Buffer[], byNode: ReadonlyMap<NodeId, readonly Buffer[]>): Buffer[] {
    const nodeOf = new Map<Buffer, NodeId>();
    for (const [node, given] of byNode) for (const row of given) nodeOf.set(row, node);
    const next = new Map<NodeId, number>();
    return rows.map((row) => {
      const node = nodeOf.get(row)!;
      const place = next.get(node) ?? 0;
      next.set(node, place + 1);
      return this.#held.get(node)![place]!;
    });
  }
}

class HeldOutput extends PassingOutput {
  readonly #frames: Buffer[];

  constructor(output: ClientOutput, frames: Buffer[]) {
    super(output);
    this.#frames = frames;
  }

  override row(frame: Buffer): void {
    this.#frames.push(Buffer.from(frame));
  }
}
