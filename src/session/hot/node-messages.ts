import type { ServerConnection } from '../../backend/server-connection.ts';
import type { BindView } from '../../wire/bind-view.ts';
import { encodeBind, encodeClose, encodeParse } from '../../wire/frontend.ts';
import { frontend } from '../../wire/message-types.ts';
import type { Leaf } from './route.ts';
import type { ScatterHole, ScatterSql } from './scatter.ts';

/** Values as a Bind carries them, by place. */
export interface SentValues {
  formatOf(parameter: number): 0 | 1;
  isNull(parameter: number): boolean;
  bytesOf(parameter: number): Buffer;
}

/** None: all text; one for all; or one for each column. */
export interface ResultFormats {
  readonly resultFormatCount: number;
  resultFormatOf(column: number): 0 | 1;
}

/** What the placeholders of a statement stand for. */
export interface HoleValues {
  readonly values: SentValues;
  /** Columns of rows, as binary arrays. */
  readonly columns: readonly Buffer[];
}

export interface BoundRun {
  /** The client's. */
  readonly bind: BindView;
  /** Open a block before. */
  readonly begin: readonly string[];
  /** Values of the placeholders behind the client's. */
  readonly constants: readonly string[];
}

/**
 * Writes the messages of one exchange with a node one behind the other; the scratch is the session's own, so nothing but the finished
 * packet is allocated.
 */
export class NodeMessages {
  #scratch: Buffer = Buffer.allocUnsafeSlow(1_024);
  #length = 0;

  /** Statements by name: a client's Bind for the leaf's statement, which stays prepared on the connection. `begin`: a block is opened before. */
  bound(
    connection: ServerConnection,
    leaf: Pick<Leaf, 'preparedAs' | 'sql'>,
    { bind, begin, constants }: BoundRun,
  ): Buffer {
    this.#length = 0;
    for (const each of begin) {
      this.#bindNothing(this.#prepared(connection, each, each));
      this.#execute();
    }
    const name = this.#prepared(connection, leaf.preparedAs, leaf.sql);
    if (constants.length > 0) this.#bindMore(name, bind, constants);
    else {
      const rest = bind.frame.length - bind.restStart;
      this.#start(frontend.bind, name.length + 2 + rest);
      this.#byte(0);
      this.#name(name);
      this.#length += bind.frame.copy(this.#scratch, this.#length, bind.restStart);
    }
    this.#execute();
    this.#start(frontend.sync, 0);
    return this.#finish();
  }

  /** A statement without parameters, which stays prepared on the connection; its rows come as text. */
  alone(connection: ServerConnection, begin: string | null, sql: string): Buffer {
    this.#length = 0;
    for (const each of begin === null ? [sql] : [begin, sql]) {
      this.#bindNothing(this.#prepared(connection, each, each));
      this.#execute();
    }
    this.#start(frontend.sync, 0);
    return this.#finish();
  }

  /** The client's Bind with more values, as text, behind its own. */
  #bindMore(statement: string, bind: BindView, more: readonly string[]): void {
    const own = Array.from({ length: bind.parameterCount }, (_, i) => i);
    const bytes = encodeBind({
      portal: '',
      statement,
      parameterFormats: [...own.map((i) => bind.formatOf(i)), ...more.map(() => 0)],
      parameters: [
        ...own.map((i) => (bind.isNull(i) ? null : bind.bytesOf(i))),
        ...more.map((value) => Buffer.from(value)),
      ],
      resultFormats: Array.from({ length: bind.resultFormatCount }, (_, i) => bind.resultFormatOf(i)),
    });
    this.#message(bytes);
  }

  /**
   * One statement of several servers' that is bound, and executed. `flushes`: the server tells of the first before it begins with the second.
   */
  scatter(
    connection: ServerConnection,
    { sql, preparedAs, holes }: ScatterSql,
    from: HoleValues,
    { formats, flushes }: { readonly formats: ResultFormats; readonly flushes: boolean },
  ): Buffer {
    this.#length = 0;
    const name = this.#prepared(connection, preparedAs, sql);
    const bodyBytes = holes.reduce((sum, hole) => sum + 6 + holeBytes(hole, from), 0);
    this.#start(frontend.bind, name.length + 2 + 4 + bodyBytes + 2 + 2 * formats.resultFormatCount);
    this.#byte(0);
    this.#name(name);
    this.#int16(holes.length);
    for (const hole of holes) this.#int16('column' in hole ? 1 : from.values.formatOf(hole.parameter));
    this.#int16(holes.length);
    for (const hole of holes) this.#value(hole, from);
    this.#int16(formats.resultFormatCount);
    for (let i = 0; i < formats.resultFormatCount; i++) this.#int16(formats.resultFormatOf(i));
    if (flushes) this.#start(frontend.flush, 0);
    this.#execute();
    this.#start(frontend.sync, 0);
    return this.#finish();
  }

  #value(hole: ScatterHole, { values, columns }: HoleValues): void {
    const bytes = 'column' in hole ? columns[hole.column]! : bytesOf(values, hole.parameter);
    this.#scratch.writeInt32BE(bytes?.length ?? -1, this.#length);
    this.#length += 4;
    if (bytes !== null) this.#length += bytes.copy(this.#scratch, this.#length);
  }

  /** One text; `texts` and `values` take turns. */
  query(begin: string | null, texts: readonly string[], values: readonly string[]): Buffer {
    this.#length = 0;
    let bytes = begin === null ? 0 : begin.length + 2;
    for (const text of texts) bytes += text.length;
    for (const value of values) bytes += value.length;
    this.#start(frontend.query, bytes + 1);
    if (begin !== null) this.#latin(`${begin};\n`);
    for (let i = 0; i < texts.length; i++) {
      this.#latin(texts[i]!);
      if (i < values.length) this.#latin(values[i]!);
    }
    this.#byte(0);
    return this.#finish();
  }

  /** The statement's name on the connection; it is prepared on the way if it is not yet. */
  #prepared(connection: ServerConnection, key: string, sql: string): string {
    const { preparedStatements } = connection;
    const known = preparedStatements.find(key);
    if (known !== null) return known;
    const { name, unused } = preparedStatements.add(key);
    for (const old of unused) this.#message(encodeClose('S', old));
    this.#message(encodeParse(name, sql, []));
    return name;
  }

  #bindNothing(name: string): void {
    this.#start(frontend.bind, name.length + 2 + 6);
    this.#byte(0);
    this.#name(name);
    for (let i = 0; i < 6; i++) this.#byte(0);
  }

  /** The unnamed portal, all rows. */
  #execute(): void {
    this.#start(frontend.execute, 5);
    for (let i = 0; i < 5; i++) this.#byte(0);
  }

  #start(type: number, bodyBytes: number): void {
    this.#reserve(bodyBytes + 5);
    this.#scratch[this.#length] = type;
    this.#scratch.writeUInt32BE(bodyBytes + 4, this.#length + 1);
    this.#length += 5;
  }

  #message(bytes: Buffer): void {
    this.#reserve(bytes.length);
    this.#length += bytes.copy(this.#scratch, this.#length);
  }

  #name(name: string): void {
    this.#latin(name);
    this.#byte(0);
  }

  #latin(text: string): void {
    this.#length += this.#scratch.write(text, this.#length, 'latin1');
  }

  #int16(value: number): void {
    this.#scratch.writeInt16BE(value, this.#length);
    this.#length += 2;
  }

  #byte(value: number): void {
    this.#scratch[this.#length] = value;
    this.#length += 1;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#scratch.length) return;
    const larger = Buffer.allocUnsafeSlow(2 * (this.#length + bytes));
    this.#scratch.copy(larger, 0, 0, this.#length);
    this.#scratch = larger;
  }

  #finish(): Buffer {
    const packet = Buffer.allocUnsafe(this.#length);
    this.#scratch.copy(packet, 0, 0, this.#length);
    // One large statement is no reason to keep its room.
    if (this.#scratch.length > maxScratchBytes) this.#scratch = Buffer.allocUnsafeSlow(1_024);
    return packet;
  }
}

const maxScratchBytes = 65_536;

function bytesOf(values: SentValues, parameter: number): Buffer | null {
  return values.isNull(parameter) ? null : values.bytesOf(parameter);
}

function holeBytes(hole: ScatterHole, { values, columns }: HoleValues): number {
  if ('column' in hole) return columns[hole.column]!.length;
  return bytesOf(values, hole.parameter)?.length ?? 0;
}
