// Placeholder until COPY lands.
import type { ClientOutput } from '../execute/client-output.ts';
import { runLocal, type StatementRun } from './run-statement.ts';
import type { SessionState } from './session-state.ts';
export async function runCopy(session: SessionState, run: StatementRun, output: ClientOutput): Promise<void> {
  return runLocal(session, run, output);
}
