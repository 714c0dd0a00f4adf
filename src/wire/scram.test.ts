import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PgError } from '../core/errors.ts';
import { saslprep } from './saslprep.ts';
import {
  buildScramVerifier,
  md5Response,
  mockVerifier,
  parseScramVerifier,
  ScramClient,
  ScramServer,
  type ScramVerifier,
} from './scram.ts';

/** RFC 7677, section 3: user "user", password "pencil". */
const rfc = {
  salt: Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'),
  serverNonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  clientFirst: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
  serverFirst: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  clientFinal:
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
};

const salt = Buffer.from('0123456789abcdef');
const verifierOf = (password: string, iterations = 2) =>
  parseScramVerifier(buildScramVerifier(password, salt, iterations))!;

interface Login {
  readonly ok: boolean;
  readonly verified: boolean;
  readonly clientKey: Buffer | null;
}

function login(client: ScramClient, verifier: ScramVerifier): Login {
  const server = new ScramServer(verifier, () => 'server-nonce');
  const outcome = server.final(client.continue(server.first(client.first())));
  if (!outcome.ok) return { ok: false, verified: false, clientKey: null };
  return { ok: true, verified: client.verify(outcome.message), clientKey: outcome.clientKey };
}

const withPassword = (password: string) => new ScramClient({ password }, () => 'client-nonce');

test("the server speaks RFC 7677's example word for word", () => {
  const verifier = parseScramVerifier(buildScramVerifier('pencil', rfc.salt, 4096))!;
  const server = new ScramServer(verifier, () => rfc.serverNonce);
  expect(server.first(Buffer.from(rfc.clientFirst)).toString()).toBe(rfc.serverFirst);
  const outcome = server.final(Buffer.from(rfc.clientFinal));
  expect(outcome.ok && outcome.message.toString()).toBe(rfc.serverFinal);
});

test("a verifier has PostgreSQL's form and reads back", () => {
  const text = buildScramVerifier('pencil', rfc.salt, 4096);
  expect(text).toBe(
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  );
  expect(parseScramVerifier(text)).toMatchObject({ iterations: 4096, salt: rfc.salt });
});

test.each([
  '',
  'md5a3556571e93b0d20722ba62be61e8c2d',
  'SCRAM-SHA-256$0:YQ==$YQ==:YQ==',
  'SCRAM-SHA-256$4096:YQ==$YQ==:YQ==',
])('%j is no SCRAM verifier', (text) => {
  expect(parseScramVerifier(text)).toBeNull();
});

test('client and server agree exactly when the passwords are the same', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (password, other) => {
      expect(login(withPassword(password), verifierOf(password))).toMatchObject({ ok: true, verified: true });
      const same = saslprep(password) === saslprep(other);
      expect(login(withPassword(other), verifierOf(password)).ok).toBe(same);
    }),
  );
});

test('the client key that the server recovered logs in at a server with the same verifier, and at no other', () => {
  const verifier = verifierOf('secret');
  const clientKey = login(withPassword('secret'), verifier).clientKey!;
  const passThrough = () => new ScramClient({ clientKey, serverKey: verifier.serverKey }, () => 'router-nonce');
  expect(login(passThrough(), verifier)).toMatchObject({ ok: true, verified: true });
  expect(login(passThrough(), verifierOf('secret', 3)).ok).toBe(false);
});

test('a server that does not know the verifier is found out', () => {
  const client = withPassword('secret');
  client.continue(Buffer.from(`r=client-nonceX,s=${salt.toString('base64')},i=2`));
  expect(client.verify(Buffer.from(`v=${Buffer.alloc(32).toString('base64')}`))).toBe(false);
  expect(client.verify(Buffer.from('e=other-error'))).toBe(false);
  expect(withPassword('secret').verify(Buffer.from(rfc.serverFinal))).toBe(false);
});

test('a user that does not exist looks the same at every try, and unlike others, and never gets in', () => {
  const verifier = mockVerifier('nobody', 'router secret');
  expect(mockVerifier('nobody', 'router secret')).toEqual(verifier);
  expect(mockVerifier('somebody', 'router secret').salt).not.toEqual(verifier.salt);
  expect(mockVerifier('nobody', 'another secret').salt).not.toEqual(verifier.salt);
  expect({ iterations: verifier.iterations, salt: verifier.salt.length }).toEqual({ iterations: 4096, salt: 16 });
  expect(login(withPassword(''), verifier).ok).toBe(false);
});

test.each([
  ['p=tls-server-end-point,,n=,r=abc', '08P01'],
  ['n,a=other,n=,r=abc', '0A000'],
  ['n,,m=ext,n=,r=abc', '0A000'],
  ['n,,n=,r=', '08P01'],
  ['n,,n=,r=a\x01b', '08P01'],
  ['x,,n=,r=abc', '08P01'],
  ['', '08P01'],
])('the first message %j of a client is refused with %s', (message, code) => {
  expect(codeOf(() => new ScramServer(verifierOf('x'), () => 's').first(Buffer.from(message)))).toBe(code);
});

test.each([
  ['another nonce', 'c=biws,r=abcX'],
  ['another channel binding', 'c=eSws,r=abcs'],
  ['no nonce', 'c=biws'],
])('a last message with %s is a protocol violation', (_what, withoutProof) => {
  const server = new ScramServer(verifierOf('x'), () => 's');
  server.first(Buffer.from('n,,n=,r=abc'));
  const message = `${withoutProof},p=${Buffer.alloc(32).toString('base64')}`;
  expect(codeOf(() => server.final(Buffer.from(message)))).toBe('08P01');
});

test('a proof that is not 32 bytes of base64 is a protocol violation, a wrong one is a refusal', () => {
  const final = (proof: string) => {
    const server = new ScramServer(verifierOf('x'), () => 's');
    server.first(Buffer.from('y,,n=,r=abc'));
    return server.final(Buffer.from(`c=eSws,r=abcs,p=${proof}`));
  };
  expect(codeOf(() => final('AAAA'))).toBe('08P01');
  expect(codeOf(() => final('*'))).toBe('08P01');
  expect(final(Buffer.alloc(32).toString('base64'))).toEqual({ ok: false });
});

test.each([
  'r=other,s=YQ==,i=4096',
  'r=client-nonce,s=YQ==,i=4096',
  'r=client-nonceX,s=*,i=4096',
  'r=client-nonceX,s=YQ==,i=0',
  'r=client-nonceX,s=YQ==,i=2000000000',
])('the first message %j of a server is a protocol violation', (message) => {
  expect(codeOf(() => withPassword('x').continue(Buffer.from(message)))).toBe('08P01');
});

test('passwords are prepared as PostgreSQL prepares them', () => {
  expect(saslprep('I\u00adX')).toBe('IX'); // RFC 4013, section 3
  expect(saslprep('\u2168')).toBe('IX');
  expect(saslprep('\u00aa')).toBe('a');
  expect(saslprep('a\u00a0b')).toBe('a b');
  expect(saslprep('\x07')).toBe('\x07');
  expect(saslprep('\u2168\u0085')).toBe('\u2168\u0085');
});

test('the answer to an md5 request is the one that PostgreSQL computes', () => {
  // md5(md5('secretme') || '\x01020304')
  expect(md5Response('me', 'secret', Buffer.from([1, 2, 3, 4]))).toBe('md58322d584bf59f0253d58346307bb6ba3');
});

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof PgError) return error.code;
    throw error;
  }
  return 'nothing thrown';
}
