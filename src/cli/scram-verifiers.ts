import { randomBytes } from 'node:crypto';
import type { SqlRunner } from '../core/runner.ts';
import { mockVerifier, parseScramVerifier, type ScramVerifier } from '../wire/scram.ts';

const mockSecret = randomBytes(32);

/** The coordinator's stored verifier of a role. A role without one gets a verifier that no password fits, so all look alike. */
export async function scramVerifierOf(coordinator: SqlRunner, user: string): Promise<ScramVerifier> {
  const { rows } = await coordinator.query(
    `SELECT rolpassword FROM pg_catalog.pg_authid
      WHERE rolname = $1 AND rolcanlogin AND (rolvaliduntil IS NULL OR rolvaliduntil > now())`,
    [user],
  );
  const stored = rows[0]?.[0];
  return (stored ? parseScramVerifier(stored) : null) ?? mockVerifier(user, mockSecret);
}
