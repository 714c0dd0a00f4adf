import { askShards, compileRouter, type KeyValue, type Router } from '../catalog/route.ts';
import type { DistributedTable, NodeId } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { limits } from '../core/limits.ts';
import type { SqlRunner } from '../core/runner.ts';
import type { MotionColumn } from '../plan/plan.ts';
import { CopyFrames, FramePool } from './copy-frames.ts';
import { KeySlot } from './key-slot.ts';
import { noShard } from './route-rows.ts';
import { NotStageable } from './stage-rows.ts';
import { tupleValues } from './text-tuples.ts';

const headerBytes = 5;

/** The rows of one node, as CopyData messages of binary COPY. */
class NodeTuples {
  readonly messages: Buffer[] = [];
  readonly frames = new CopyFrames(new FramePool(), (message) => this.messages.push(message));
}

/** Rows that are to become a table's, held by the node they belong to: no object for each, but messages that are sent as they are. */
export class HeldTuples {
  readonly #table: DistributedTable;
  readonly #route: Router;
  /** Places of the key's columns in the rows; -1: a row has none. */
  readonly #places: readonly number[];
  readonly #slots: readonly KeySlot[];
  readonly #values: KeyValue[];
  readonly #nodes: readonly NodeId[];
  readonly #byNode = new Map<NodeId, NodeTuples>();
  /** Rows of which only PostgreSQL can tell where they belong. */
  #asked: { readonly tuple: Buffer; readonly key: readonly KeyValue[] }[] = [];
  bytes = 0;

  constructor(table: DistributedTable, columns: readonly MotionColumn[]) {
    const { distribution } = table;
    assert(distribution.kind === 'distributed', 'only rows of distributed tables are routed');
    this.#table = table;
    this.#route = compileRouter(table);
    this.#places = distribution.keys.map((key) => columns.findIndex((column) => column.name === key.name));
    this.#slots = this.#places.map((place) => new KeySlot(columns[place]?.viaText ? 0 : 1));
    this.#values = this.#places.map(() => null);
    this.#nodes = distribution.group.shards.map((shard) => shard.nodeId);
  }

  /** `bytes[start, end)` is a DataRow message in the binary format, whose body is a tuple of binary COPY. */
  add(bytes: Buffer, start: number, end: number): void {
    this.bytes += end - start;
    if (this.bytes > limits.maxStagedBytes) throw new NotStageable('too many rows to bring to nodes');
    const body = start + headerBytes;
    this.#readKey(bytes, body);
    const shard = this.#route(this.#values);
    if (shard === 'ask') this.#defer(Buffer.from(bytes.subarray(body, end)));
    else this.#put(shard, bytes, body, end);
  }

  /** Asks for those that could not be routed; all rows are there then. */
  async settle(asker: SqlRunner): Promise<void> {
    const asked = this.#asked;
    this.#asked = [];
    const keys = asked.map(({ key }) => key);
    const shards = asked.length === 0 ? [] : await askShards(asker, this.#table, keys);
    for (const [index, { tuple, key }] of asked.entries()) {
      for (const [i, value] of key.entries()) this.#values[i] = value;
      this.#put(shards[index]!, tuple, 0, tuple.length);
    }
    for (const { frames } of this.#byNode.values()) frames.flush();
  }

  /** CopyData messages by node, without what begins and ends a COPY. */
  messages(): [NodeId, Buffer[]][] {
    return [...this.#byNode].map(([node, { messages }]) => [node, messages]);
  }

  #put(shard: number | 'none', bytes: Buffer, start: number, end: number): void {
    if (shard === 'none') throw noShard(this.#table, this.#values);
    const node = this.#nodes[shard]!;
    let tuples = this.#byNode.get(node);
    if (tuples === undefined) {
      tuples = new NodeTuples();
      this.#byNode.set(node, tuples);
    }
    tuples.frames.appendSlice(bytes, start, end);
  }

  #defer(tuple: Buffer): void {
    const fields = tupleValues(tuple);
    const key = this.#places.map((place, i): KeyValue => {
      const bytes = fields[place] ?? null;
      return bytes === null ? null : { format: this.#slots[i]!.value.format, bytes };
    });
    this.#asked.push({ tuple, key });
  }

  /** Of the tuple at `start`. */
  #readKey(bytes: Buffer, start: number): void {
    for (let i = 0; i < this.#places.length; i++) {
      const slot = this.#slots[i]!;
      this.#values[i] = readField(bytes, start, this.#places[i]!, slot) ? slot.value : null;
    }
  }
}

/** False: it is NULL. */
function readField(bytes: Buffer, start: number, place: number, slot: KeySlot): boolean {
  if (place < 0) return false;
  let at = start + 2;
  for (let i = 0; i < place; i++) at += 4 + Math.max(int32At(bytes, at), 0);
  const length = int32At(bytes, at);
  if (length >= 0) slot.set(bytes, at + 4, at + 4 + length);
  return length >= 0;
}

function int32At(bytes: Buffer, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}

/** The tuples in messages of binary COPY. */
export function tuplesIn(messages: readonly Buffer[]): Buffer[] {
  return messages.flatMap((message) => {
    const tuples: Buffer[] = [];
    for (let start = headerBytes; start < message.length; ) {
      let end = start + 2;
      for (let left = message.readInt16BE(start); left > 0; left--) end += 4 + Math.max(message.readInt32BE(end), 0);
      tuples.push(message.subarray(start, end));
      start = end;
    }
    return tuples;
  });
}
