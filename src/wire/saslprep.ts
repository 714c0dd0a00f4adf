/** RFC 3454 C.1.2: spaces that become U+0020. */
const otherSpaces = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu;
/** RFC 3454 B.1: mapped to nothing. An alternation, because some of them combine with their neighbour in a class. */
const mappedToNothing = /\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/gu;
/** RFC 4013, 2.3 in short: control, private use and surrogate code points are prohibited. */
const prohibited = /[\p{Cc}\p{Co}\p{Cs}]/u;

/**
 * A password as SCRAM hashes it. As in PostgreSQL, ASCII passes as it is and so does a password that the profile prohibits.
 * The profile's rules for right-to-left text and for code points unassigned in Unicode 3.2 are not checked: they matter
 * only where normalizing changes such a password.
 */
export function saslprep(password: string): string {
  if (/^[\x00-\x7f]*$/.test(password)) return password;
  const prepared = password.replace(otherSpaces, ' ').replace(mappedToNothing, '').normalize('NFKC');
  return prepared === '' || prohibited.test(prepared) ? password : prepared;
}
