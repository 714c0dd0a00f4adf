import type { ServerConnection } from '../backend/server-connection.ts';
import { copyDataBody, encodeQuery } from '../wire/frontend.ts';
import { backend as message } from '../wire/message-types.ts';
import { serverError } from './exchange.ts';

/** What takes the bytes of a COPY: pushed synchronously; while it `waits`, nothing more is pushed until `settle` resolves. */
export interface CopySink {
  push(chunk: Buffer): void;
  readonly waits: boolean;
  settle(): Promise<void>;
}

/** Runs a COPY … TO STDOUT on a server and pushes its data into the sink, pausing the server when the sink asks for it. */
export function pumpCopy(connection: ServerConnection, sql: string, sink: CopySink): Promise<void> {
  let error: unknown = null;
  let settling: Promise<void> | null = null;
  let canceling: Promise<void> | null = null;
  const fail = (reason: unknown) => {
    if (error !== null) return;
    error = reason;
    if (!connection.idle) canceling = connection.cancel().catch(() => {});
  };
  const settle = () => {
    connection.pause();
    settling = sink.settle().then(
      () => {
        settling = null;
        connection.resume();
      },
      (reason) => {
        fail(reason);
        connection.resume();
      },
    );
  };
  const push = (chunk: Buffer) => {
    try {
      sink.push(chunk);
      if (settling === null && sink.waits) settle();
    } catch (reason) {
      fail(reason);
    }
  };
  return new Promise((resolve, reject) => {
    const end = async () => {
      await settling;
      await canceling;
      if (error === null) resolve();
      else reject(error);
    };
    connection.submit(encodeQuery(sql), {
      onFrame(type, frame) {
        if (type === message.copyData) {
          if (error === null) push(copyDataBody(frame));
        } else if (type === message.errorResponse) error ??= serverError(frame, connection);
      },
      onReady: () => void end(),
      onLost(lost) {
        error ??= lost;
        void end();
      },
    });
  });
}
