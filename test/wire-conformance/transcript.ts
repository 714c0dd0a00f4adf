/** A backend message as it came. */
export type Message = { readonly type: string; readonly body: Buffer };

/** Cuts whole messages off the front of what has arrived. */
export function takeMessages(bytes: Buffer): { messages: Message[]; rest: Buffer } {
  const messages: Message[] = [];
  let at = 0;
  while (bytes.length - at >= 5) {
    const length = bytes.readInt32BE(at + 1);
    if (bytes.length - at < length + 1) break;
    messages.push({
      type: String.fromCharCode(bytes[at]!),
      body: Buffer.from(bytes.subarray(at + 5, at + 1 + length)),
    });
    at += length + 1;
  }
  return { messages, rest: bytes.subarray(at) };
}

/**
 * One line for a message, with what may rightly differ between two servers left out: process ids and keys,
 * OIDs of what users created, the server's source lines, and the node that a router adds to an error's context.
 */
export function describeMessage({ type, body }: Message): string {
  switch (type) {
    case 'R':
      return `Authentication ${body.readInt32BE(0)}`;
    case 'K':
      return 'BackendKeyData';
    case 'S':
      return `ParameterStatus ${strings(body).join('=')}`;
    case 'Z':
      return `ReadyForQuery ${body.toString('latin1')}`;
    case 'T':
      return `RowDescription ${describeColumns(body)}`;
    case 't':
      return `ParameterDescription ${describeParameters(body)}`;
    case 'D':
      return `DataRow ${describeRow(body)}`;
    case 'C':
      return `CommandComplete ${strings(body)[0]}`;
    case 'E':
      return `ErrorResponse ${describeFields(body)}`;
    case 'N':
      return `NoticeResponse ${describeFields(body)}`;
    case 'A':
      return `NotificationResponse ${strings(body.subarray(4)).join(' ')}`;
    case 'G':
    case 'H':
    case 'W':
      return `${type === 'G' ? 'CopyInResponse' : 'CopyOutResponse'} ${body.toString('hex')}`;
    case 'd':
      return `CopyData ${JSON.stringify(body.toString('latin1'))}`;
    case 'v':
      return `NegotiateProtocolVersion ${strings(body.subarray(8)).join(' ')}`;
    default:
      return `${names[type] ?? `unknown message ${type}`}${body.length > 0 ? ` ${body.toString('hex')}` : ''}`;
  }
}

const names: Readonly<Record<string, string>> = {
  '1': 'ParseComplete',
  '2': 'BindComplete',
  '3': 'CloseComplete',
  n: 'NoData',
  s: 'PortalSuspended',
  I: 'EmptyQueryResponse',
  c: 'CopyDone',
};

const firstUserOid = 16384;
const anonymous = (oid: number) => (oid >= firstUserOid ? 'user' : String(oid));

function strings(bytes: Buffer): string[] {
  const parts = bytes.toString('utf8').split('\0');
  return parts.filter((part, index) => part !== '' || index < parts.length - 1);
}

function describeColumns(body: Buffer): string {
  const columns: string[] = [];
  let at = 2;
  for (let count = body.readInt16BE(0); count > 0; count--) {
    const end = body.indexOf(0, at);
    const name = body.toString('utf8', at, end);
    const table = anonymous(body.readUInt32BE(end + 1));
    const attribute = body.readInt16BE(end + 5);
    const type = anonymous(body.readUInt32BE(end + 7));
    const size = body.readInt16BE(end + 11);
    const modifier = body.readInt32BE(end + 13);
    const format = body.readInt16BE(end + 17);
    columns.push(`${name} (table ${table}.${attribute} type ${type} size ${size} mod ${modifier} format ${format})`);
    at = end + 19;
  }
  return columns.join(', ');
}

function describeParameters(body: Buffer): string {
  const count = body.readInt16BE(0);
  return Array.from({ length: count }, (_, index) => anonymous(body.readUInt32BE(2 + 4 * index))).join(' ');
}

function describeRow(body: Buffer): string {
  const values: string[] = [];
  let at = 2;
  for (let count = body.readInt16BE(0); count > 0; count--) {
    const length = body.readInt32BE(at);
    at += 4;
    if (length === -1) values.push('NULL');
    else {
      values.push(describeValue(body.subarray(at, at + length)));
      at += length;
    }
  }
  return values.join(' | ');
}

function describeValue(value: Buffer): string {
  const asText = value.toString('utf8');
  return /^[^\0-\x1f�]*$/.test(asText) ? JSON.stringify(asText) : `0x${value.toString('hex')}`;
}

/** Severity, SQLSTATE, message, detail, hint, position and the names of what is concerned. */
function describeFields(body: Buffer): string {
  const fields = strings(body).filter((field) => 'VCMDHPpqstcdn'.includes(field[0] ?? ' '));
  return fields.map((field) => `${field[0]}:${field.slice(1)}`).join(' ');
}

/**
 * Freedoms that no client notices: rows of a COPY without ORDER BY come in any order; ParameterStatus and
 * NotificationResponse may come anywhere in an answer, and what counts of the first is the value that holds at its end;
 * a parameter's value may be read at Bind or at Execute.
 */
export function comparableLines(lines: readonly string[]): string[] {
  const known = new Map<string, string>();
  const result: string[] = [];
  let copied: string[] = [];
  let reported = new Map<string, string>();
  let notified: string[] = [];
  for (const [index, line] of lines.entries()) {
    if (line.startsWith('CopyData')) {
      copied.push(line);
      continue;
    }
    result.push(...copied.sort());
    copied = [];
    const parameter = /^ParameterStatus ([^=]*)=/.exec(line);
    if (parameter !== null) reported.set(parameter[1]!, line);
    else if (line.startsWith('NotificationResponse')) notified.push(line);
    else if (line.startsWith('ReadyForQuery') || line === 'logged in') {
      result.push(...changed(known, reported), ...notified, line);
      reported = new Map();
      notified = [];
    } else if (line !== 'BindComplete' || !lines[index + 1]?.startsWith('ErrorResponse')) result.push(line);
  }
  return [...result, ...copied.sort(), ...changed(known, reported), ...notified];
}

function changed(known: Map<string, string>, reported: ReadonlyMap<string, string>): string[] {
  const news = [...reported].filter(([name, line]) => known.get(name) !== line);
  for (const [name, line] of news) known.set(name, line);
  return news.map(([, line]) => line).sort();
}
