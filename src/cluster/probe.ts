import { connect } from 'node:net';

/** What a server or router says to a newcomer. */
export type Health =
  | { readonly kind: 'running' }
  /** It listens and takes nobody yet (starting, stopping, in recovery). */
  | { readonly kind: 'busy'; readonly message: string }
  | { readonly kind: 'unreachable'; readonly message: string };

/** A StartupMessage of protocol 3.0 as postgres to postgres, and a Query; their layout is in the manual's chapter 54.7. */
const startup = framed('', '\0\x03\0\0user\0postgres\0database\0postgres\0application_name\0pgherd status\0\0');
const query = framed('Q', 'SELECT 1\0');
const terminate = framed('X', '');

function framed(type: string, body: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(4 + body.length);
  return Buffer.concat([Buffer.from(type, 'latin1'), length, Buffer.from(body, 'latin1')]);
}

/** Logs in and asks SELECT 1. A server that wants a password counts as running: it is able to ask. */
export function probe(host: string, port: number, timeoutMs = 5_000): Promise<Health> {
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    let readyCount = 0;
    const socket = connect({ host, port }, () => socket.write(startup));
    const done = (health: Health) => {
      clearTimeout(timer);
      if (socket.writable) socket.write(terminate);
      socket.destroySoon();
      resolve(health);
    };
    const timer = setTimeout(() => done({ kind: 'busy', message: `no answer within ${timeoutMs} ms` }), timeoutMs);
    socket.on('error', (error) => done({ kind: 'unreachable', message: error.message }));
    socket.on('close', () => done({ kind: 'unreachable', message: 'the connection was closed' }));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      const { messages, rest } = splitMessages(received);
      received = Buffer.from(rest);
      for (const { type, body } of messages) {
        if (type === 'E') done({ kind: 'busy', message: errorText(body) });
        // AuthenticationOk is 0; anything else asks for credentials.
        else if (type === 'R' && body.readInt32BE(0) !== 0) done({ kind: 'running' });
        else if (type === 'Z' && ++readyCount === 1) socket.write(query);
        else if (type === 'Z') done({ kind: 'running' });
      }
    });
  });
}

function splitMessages(bytes: Buffer): { messages: { type: string; body: Buffer }[]; rest: Buffer } {
  const messages = [];
  let start = 0;
  while (bytes.length - start >= 5) {
    const end = start + 1 + bytes.readInt32BE(start + 1);
    if (end > bytes.length || end < start + 5) break;
    messages.push({ type: String.fromCharCode(bytes[start]!), body: bytes.subarray(start + 5, end) });
    start = end;
  }
  return { messages, rest: bytes.subarray(start) };
}

/** The M field of an ErrorResponse. */
function errorText(body: Buffer): string {
  const fields = body.toString('utf8').split('\0');
  return fields.find((field) => field.startsWith('M'))?.slice(1) ?? 'an error';
}
