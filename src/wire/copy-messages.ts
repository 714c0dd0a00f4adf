import { headerBytes, MessageReader } from './message-reader.ts';
import { frontend } from './message-types.ts';
import { emptyMessage, MessageWriter } from './message-writer.ts';

/** CopyData and CopyDone: the messages that are the same from either side. */

export function encodeCopyData(data: Buffer): Buffer {
  return new MessageWriter(frontend.copyData, data.length).bytes(data).finish();
}

/** The data of a CopyData, as a view. */
export function copyDataBody(frame: Buffer): Buffer {
  return frame.subarray(headerBytes);
}

/** Shared by all that send it: never written into. */
export const copyDoneMessage: Buffer = emptyMessage(frontend.copyDone);

export function encodeCopyDone(): Buffer {
  return copyDoneMessage;
}

/** Text is 0, binary 1; per column it is an Int16, for the whole copy an Int8. */
export function encodeCopyResponse(type: number, format: 0 | 1, columnFormats: readonly number[]): Buffer {
  const message = new MessageWriter(type, 3 + 2 * columnFormats.length).uint8(format).count(columnFormats.length);
  for (const columnFormat of columnFormats) message.int16(columnFormat);
  return message.finish();
}

/** CopyInResponse, CopyOutResponse or CopyBothResponse. */
export function decodeCopyResponse(frame: Buffer): { format: 0 | 1; columnFormats: number[] } {
  const reader = new MessageReader(frame);
  const format = reader.uint8() === 0 ? 0 : 1;
  const columnFormats = reader.list((each) => each.int16());
  reader.end();
  return { format, columnFormats };
}
