/** Frontend messages as bytes, from the manual's "Message Formats"; nothing here is shared with the router. */

export type Format = 0 | 1;

function frame(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const header = Buffer.alloc(5);
  header.write(type, 0, 'latin1');
  header.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

const text = (value: string) => Buffer.from(`${value}\0`, 'utf8');
const letter = (value: string) => Buffer.from(value, 'latin1');

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

export const query = (sql: string) => frame('Q', text(sql));
export const sync = () => frame('S');
export const flush = () => frame('H');
export const terminate = () => frame('X');
export const copyData = (data: string | Buffer) => frame('d', Buffer.from(data));
export const copyDone = () => frame('c');
export const copyFail = (reason: string) => frame('f', text(reason));

export function parse(sql: string, options: { name?: string; types?: readonly number[] } = {}): Buffer {
  const types = options.types ?? [];
  return frame('P', text(options.name ?? ''), text(sql), int16(types.length), ...types.map(int32));
}

export type BindOptions = {
  readonly portal?: string;
  readonly statement?: string;
  readonly values?: readonly (string | Buffer | null)[];
  /** None: all text; one: for all; else one for each value. */
  readonly formats?: readonly Format[];
  readonly results?: readonly Format[];
};

export function bind(options: BindOptions = {}): Buffer {
  const { values = [], formats = [], results = [] } = options;
  const encoded = values.map((value) => {
    if (value === null) return int32(-1);
    const bytes = Buffer.from(value);
    return Buffer.concat([int32(bytes.length), bytes]);
  });
  return frame(
    'B',
    text(options.portal ?? ''),
    text(options.statement ?? ''),
    int16(formats.length),
    ...formats.map(int16),
    int16(values.length),
    ...encoded,
    int16(results.length),
    ...results.map(int16),
  );
}

export const describe = (what: 'S' | 'P', name = '') => frame('D', letter(what), text(name));
export const close = (what: 'S' | 'P', name = '') => frame('C', letter(what), text(name));
export const execute = (portal = '', maxRows = 0) => frame('E', text(portal), int32(maxRows));

/** Any type letter and any body: for messages that must be refused. */
export const rawFrame = (type: string, body: Buffer = Buffer.alloc(0)) => frame(type, body);

export function startup(parameters: Readonly<Record<string, string>>, version = 196608): Buffer {
  const pairs = Object.entries(parameters).flatMap(([name, value]) => [text(name), text(value)]);
  const body = Buffer.concat([int32(version), ...pairs, Buffer.from([0])]);
  return Buffer.concat([int32(body.length + 4), body]);
}

export const sslRequest = () => Buffer.concat([int32(8), int32(80877103)]);
export const gssEncRequest = () => Buffer.concat([int32(8), int32(80877104)]);
export const cancelRequest = (pid: Buffer, key: Buffer) =>
  Buffer.concat([int32(12 + key.length), int32(80877102), pid, key]);
