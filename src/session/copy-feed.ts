import type { ServerConnection } from '../backend/server-connection.ts';
import { encodeCopyFail } from '../wire/frontend.ts';
import { frontend as message } from '../wire/message-types.ts';
import type { ClientConnection } from './client-connection.ts';

/**
 * Passes a client's COPY data on to one server, bytes untouched. The exchange itself ends when the server says so; Flush and Sync
 * are ignored meanwhile, as PostgreSQL does.
 */
export function feedCopy(client: ClientConnection, response: Buffer, connection: ServerConnection): void {
  client.write(response);
  void feed(client, connection);
}

async function feed(client: ClientConnection, connection: ServerConnection): Promise<void> {
  const { inbox } = client;
  for (;;) {
    await inbox.ready();
    if (connection.idle || connection.closed) return;
    const next = inbox.take();
    if (next === null) {
      if (!inbox.closed) continue;
      connection.write(encodeCopyFail('the client closed the connection'));
      return;
    }
    switch (next.type) {
      case message.copyData:
        if (!connection.write(next.frame)) await connection.drained();
        continue;
      case message.copyDone:
      case message.copyFail:
        connection.write(next.frame);
        return;
      case message.flush:
      case message.sync:
        continue;
      default:
        connection.write(encodeCopyFail('unexpected message during COPY from the client'));
        return;
    }
  }
}
