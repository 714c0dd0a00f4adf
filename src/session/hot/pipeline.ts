import { encodeRowDescription, type FieldDescription, noData } from '../../wire/backend.ts';
import type { BindView } from '../../wire/bind-view.ts';
import { frontend as message } from '../../wire/message-types.ts';
import type { Inbox } from '../inbox.ts';

/** One statement of the extended protocol, from its first message to its Sync. */
export interface Pipeline {
  /** How many there are. */
  messages: number;
  /** Null: the statement was prepared before. */
  parse: Buffer | null;
  bind: Buffer | null;
  execute: Buffer | null;
  /** The portal. */
  describes: boolean;
}

export function emptyPipeline(): Pipeline {
  return { messages: 0, parse: null, bind: null, execute: null, describes: false };
}

/** Reads `[Parse] Bind [Describe] Execute Sync` of unnamed portals, if all of it is here; all rows are wanted. */
export function readPipeline(inbox: Inbox, into: Pipeline): boolean {
  let at = 0;
  const take = (type: number): Buffer | null => {
    const next = inbox.peek(at);
    if (next?.type !== type) return null;
    at += 1;
    return next.frame;
  };
  into.parse = take(message.parse);
  into.bind = take(message.bind);
  const describe = take(message.describe);
  into.execute = take(message.execute);
  if (into.bind === null || into.execute === null || take(message.sync) === null) return false;
  // D, its length, 'P' and an empty name.
  if (describe !== null && (describe.length !== 7 || describe[5] !== 0x50)) return false;
  into.describes = describe !== null;
  into.messages = at;
  // E, its length, an empty name and no limit.
  return into.execute.length === 10 && into.execute[5] === 0 && into.execute.readInt32BE(6) === 0;
}

/** What Describe of the portal says. */
export function rowDescription(fields: readonly FieldDescription[] | null, bind: BindView): Buffer {
  if (fields === null) return noData;
  const count = bind.resultFormatCount;
  if (count > 1) return encodeRowDescription(fields.map((field, i) => ({ ...field, format: bind.resultFormatOf(i) })));
  const format = count === 1 ? bind.resultFormatOf(0) : 0;
  const known = descriptions[format].get(fields);
  if (known !== undefined) return known;
  const encoded = encodeRowDescription(fields.map((field) => ({ ...field, format })));
  descriptions[format].set(fields, encoded);
  return encoded;
}

/** By format: what was encoded once is never written into. */
const descriptions = [
  new WeakMap<readonly FieldDescription[], Buffer>(),
  new WeakMap<readonly FieldDescription[], Buffer>(),
] as const;
